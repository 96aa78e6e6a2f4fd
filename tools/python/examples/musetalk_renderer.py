"""MuseTalk as the renderer: the lips of a recorded person follow any speech, for everybody who opens the page.

    git clone https://github.com/TMElyralab/MuseTalk     # and its weights, as its README says
    cd MuseTalk
    # Prepare an avatar once, with `preparation: True` in the file:
    python -m scripts.realtime_inference --version v15 --inference_config configs/inference/realtime.yaml \\
        --unet_model_path models/musetalkV15/unet.pth --unet_config models/musetalkV15/musetalk.json
    PYTHONPATH=. python …/musetalk_renderer.py results/v15/avatars/avator_1 --speech speech.wav

Without MuseTalk, the same loop with a drawn face:

    python musetalk_renderer.py --stub-model

It speaks to whoever comes, is silent when somebody speaks, and begins again when they have finished.
"""

from __future__ import annotations

import glob
import os
import pickle
import tempfile
import wave
from typing import Any, Iterator

import numpy
import speaking

import visavis

HOW = "Run this in a checkout of MuseTalk that has its weights, with PYTHONPATH=. (see --help)."


class MuseTalk:
    """MuseTalk 1.5, as its scripts/realtime_inference.py uses it. Makes 25 pictures a second; on a good GPU faster."""

    def __init__(self, avatar: str, batch_size: int) -> None:
        with speaking.needs("MuseTalk", HOW):
            import cv2
            import torch
            from musetalk.utils.audio_processor import AudioProcessor
            from musetalk.utils.utils import load_all_model
            from transformers import WhisperModel

            self.batch_size = batch_size
            self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
            self.timesteps = torch.tensor([0], device=self.device)
            self.vae, self.unet, self.pe = load_all_model(
                unet_model_path="./models/musetalkV15/unet.pth",
                vae_type="sd-vae",
                unet_config="./models/musetalkV15/musetalk.json",
                device=self.device,
            )
            self.pe = self.pe.half().to(self.device)
            self.vae.vae = self.vae.vae.half().to(self.device)
            self.unet.model = self.unet.model.half().to(self.device)
            self.audio_processor = AudioProcessor(feature_extractor_path="./models/whisper")
            self.whisper = WhisperModel.from_pretrained("./models/whisper")
            self.whisper = self.whisper.to(device=self.device, dtype=self.unet.model.dtype).eval()

            # What the preparation has left: the person's pictures, where the face is in them, and its latents.
            def images(folder: str) -> Any:
                return [cv2.imread(path) for path in sorted(glob.glob(f"{avatar}/{folder}/*.png"))]

            self.frames, self.masks = images("full_imgs"), images("mask")
            self.latents = torch.load(f"{avatar}/latents.pt")
            with open(f"{avatar}/coords.pkl", "rb") as boxes, open(f"{avatar}/mask_coords.pkl", "rb") as crops:
                self.boxes, self.crops = pickle.load(boxes), pickle.load(crops)

    def pictures(self, samples: Any, rate: int) -> Iterator[Any]:
        """RGB, as large as the recording of the person."""
        import torch
        from musetalk.utils.utils import datagen

        dtype = self.unet.model.dtype
        with tempfile.TemporaryDirectory() as folder, torch.no_grad():
            path = os.path.join(folder, "speech.wav")  # MuseTalk takes files.
            with wave.open(path, "wb") as file:
                file.setnchannels(1)
                file.setsampwidth(2)
                file.setframerate(rate)
                file.writeframes((samples * 32_767).astype("<i2").tobytes())
            features, length = self.audio_processor.get_audio_feature(path, weight_dtype=dtype)
            chunks = self.audio_processor.get_whisper_chunk(
                features, self.device, dtype, self.whisper, length, fps=speaking.FPS
            )
            number = 0
            for sound, latents in datagen(chunks, self.latents, self.batch_size, device=self.device):
                sound = self.pe(sound.to(self.device))
                latents = latents.to(device=self.device, dtype=dtype)
                predicted = self.unet.model(latents, self.timesteps, encoder_hidden_states=sound).sample
                for mouth in self.vae.decode_latents(predicted.to(device=self.device, dtype=self.vae.vae.dtype)):
                    yield self._blended(mouth, number)
                    number += 1

    def _blended(self, mouth: Any, number: int) -> Any:
        """Puts a mouth into the picture of the person that is its turn."""
        import cv2
        from musetalk.utils.blending import get_image_blending

        number %= len(self.boxes)
        left, top, right, bottom = self.boxes[number]
        mouth = cv2.resize(mouth.astype(numpy.uint8), (right - left, bottom - top))
        frame = self.frames[number].copy()
        blended = get_image_blending(frame, mouth, self.boxes[number], self.masks[number], self.crops[number])
        # MuseTalk's pictures are BGR, as OpenCV has them.
        return numpy.ascontiguousarray(blended[:, :, ::-1])


def main() -> None:
    parser = speaking.command_line(__doc__ or "")
    parser.add_argument("avatar", nargs="?", default="results/v15/avatars/avator_1", help="folder of a prepared avatar")
    parser.add_argument("--speech", default=str(speaking.SPEECH), help="what is said: a WAV file, mono, 16 bits")
    parser.add_argument("--batch-size", type=int, default=4, help="pictures made at once: fewer begin sooner (default: 4)")
    arguments = parser.parse_args()
    samples, rate = speaking.recording(arguments.speech)
    renderer: Any = (
        speaking.DrawnFace() if arguments.stub_model else MuseTalk(arguments.avatar, arguments.batch_size)
    )
    with visavis.serve(arguments.port, host=arguments.host, title="MuseTalk") as server:
        face = server.session(fps=speaking.FPS)
        print("Open", server.url, flush=True)
        for _ in speaking.turns(face):
            speaking.say(face, renderer, samples, rate)


if __name__ == "__main__":
    main()
