"""LivePortrait as the renderer: a portrait moves as somebody in a video does, for everybody who opens the page.

    git clone https://github.com/KwaiVGI/LivePortrait    # and its weights, as its README says
    cd LivePortrait
    PYTHONPATH=. python …/liveportrait_renderer.py assets/examples/source/s0.jpg assets/examples/driving/d0.mp4

Without LivePortrait, the same loop with a drawn face:

    python liveportrait_renderer.py --stub-model

Pictures are rendered live, each for the moment that is now: a slow GPU shows fewer of them, not later ones.
"""

from __future__ import annotations

import itertools
import threading
import time
from typing import Any

import numpy
import speaking

import visavis

HOW = "Run this in a checkout of LivePortrait that has its weights, with PYTHONPATH=. (see --help)."


class LivePortrait:
    """LivePortrait's pipeline, a picture at a time: the relative motion of its `execute`, with stitching."""

    def __init__(self, portrait: str, video: str) -> None:
        with speaking.needs("LivePortrait", HOW):
            from src.config.crop_config import CropConfig
            from src.config.inference_config import InferenceConfig
            from src.live_portrait_pipeline import LivePortraitPipeline
            from src.utils.camera import get_rotation_matrix
            from src.utils.io import load_image_rgb, load_video, resize_to_limit
            from src.utils.video import get_fps

            config, crop = InferenceConfig(), CropConfig()
            pipeline = LivePortraitPipeline(inference_cfg=config, crop_cfg=crop)
            self.fps = round(get_fps(video))
            self.wrapper, self.rotation = pipeline.live_portrait_wrapper, get_rotation_matrix
            image = resize_to_limit(load_image_rgb(portrait), config.source_max_dim, config.source_division)
            driving = load_video(video)
        found = pipeline.cropper.crop_source_image(image, crop)
        if found is None:
            raise SystemExit(f"no face in {portrait}")
        # What is the same for every picture: the portrait's looks and key points, and where the driver began.
        prepared = self.wrapper.prepare_source(found["img_crop_256x256"])
        self.source = self.wrapper.get_kp_info(prepared)
        self.looks = self.wrapper.extract_feature_3d(prepared)
        self.points = self.wrapper.transform_keypoint(self.source)
        self.driving = pipeline.cropper.crop_driving_video(driving)["frame_crop_lst"]
        self.length = len(self.driving)
        self.first = self._motion(0)

    def _motion(self, number: int) -> Any:
        info = self.wrapper.get_kp_info(self.wrapper.prepare_source(self.driving[number]))
        return {**info, "R": self.rotation(info["pitch"], info["yaw"], info["roll"])}

    def picture(self, number: int) -> Any:
        """RGB, 512×512, with the face as it is in one picture of the video."""
        source, first, now = self.source, self.first, self._motion(number % self.length)
        turned = self.rotation(source["pitch"], source["yaw"], source["roll"])
        turned = now["R"] @ first["R"].swapaxes(1, 2) @ turned
        mimic = source["exp"] + now["exp"] - first["exp"]
        place = source["t"] + now["t"] - first["t"]
        place[..., 2] = 0
        points = source["scale"] * now["scale"] / first["scale"] * (source["kp"] @ turned + mimic) + place
        points = self.wrapper.stitching(self.points, points)
        return self.wrapper.parse_output(self.wrapper.warp_decode(self.looks, self.points, points)["out"])[0]


class Stub:
    """A drawn face in place of the portrait, that is driven by the sound in place of the video."""

    fps = speaking.FPS

    def __init__(self, samples: Any, rate: int) -> None:
        self.face, self.samples, self.size = speaking.DrawnFace(512), samples, rate // speaking.FPS
        self.length = len(samples) // self.size

    def picture(self, number: int) -> Any:
        begin = number % self.length * self.size
        return self.face.picture(self.samples[begin : begin + self.size])


def render(face: visavis.Session, renderer: Any, began: float) -> None:
    """Makes the picture that is due, again and again. The sound has a thread of its own, and never waits for the GPU."""
    number = -1
    while not face.is_closed:
        due = int((time.time() - began) * renderer.fps)
        if due == number:
            time.sleep(0.002)
            continue
        number = due
        stamp = round((began + number / renderer.fps) * 1_000)
        face.push_video(renderer.picture(number), timestamp_ms=stamp)


def play(face: visavis.Session, samples: Any, rate: int, began: float) -> None:
    """The sound, over and over, 40 ms at a time. Stamped as the pictures are, it comes out with them."""
    size = rate // speaking.FPS
    for number in itertools.count():
        piece = samples.take(numpy.arange(number * size, (number + 1) * size), mode="wrap")
        stamp = round((began + number / speaking.FPS) * 1_000)
        if face.push_audio(piece, rate, timestamp_ms=stamp) == "stopped":
            break
        time.sleep(max(0, began + (number + 1) / speaking.FPS - time.time()))


def main() -> None:
    parser = speaking.command_line(__doc__ or "")
    parser.add_argument("portrait", nargs="?", default="assets/examples/source/s0.jpg", help="an image of a face")
    parser.add_argument("video", nargs="?", default="assets/examples/driving/d0.mp4", help="how the face is to move")
    parser.add_argument("--sound", default=str(speaking.SPEECH), help="what is heard: a WAV file, mono, 16 bits")
    arguments = parser.parse_args()
    samples, rate = speaking.recording(arguments.sound)
    renderer: Any = Stub(samples, rate) if arguments.stub_model else LivePortrait(arguments.portrait, arguments.video)
    # The sound ends, and begins again, with the video.
    length = renderer.length * rate // renderer.fps
    samples = numpy.pad(samples[:length], (0, max(0, length - len(samples))))
    with visavis.serve(arguments.port, host=arguments.host, title="LivePortrait") as server:
        face = server.session(fps=renderer.fps)
        print("Open", server.url, flush=True)
        began = time.time()
        threading.Thread(target=play, args=(face, samples, rate, began), daemon=True).start()
        render(face, renderer, began)


if __name__ == "__main__":
    main()
