"""Stand-ins for the projects that the examples are for: their names and signatures, with nothing behind them.

python stand_ins.py EXAMPLE.py [ARGUMENT…] runs an example with them, so that what it calls is there, by position and by
name, and is given what the project takes: a face is a red picture with a green bar, as high as the sound is loud.
"""

from __future__ import annotations

import math
import pickle
import queue
import runpy
import sys
import threading
import types
import wave
from pathlib import Path
from typing import Any, Iterator

import numpy
from PIL import Image

RED, GREEN = (200, 40, 40), (40, 200, 40)


class Tensor(numpy.ndarray):
    """As much of a torch tensor as the examples use."""

    def to(self, device: Any = None, dtype: Any = None) -> "Tensor":
        return self

    def cpu(self) -> "Tensor":
        return self

    def numpy(self) -> Any:
        return numpy.asarray(self)


def tensor(data: Any, device: Any = None) -> Tensor:
    return numpy.asarray(data, numpy.float32).view(Tensor)


def loudness(samples: Any) -> float:
    return float(numpy.sqrt((numpy.asarray(samples, numpy.float64) ** 2).mean()))


def face(loud: float, side: int = 128) -> Any:
    """RGB."""
    picture = numpy.full((side, side, 3), RED, numpy.uint8)
    picture[side - max(4, round(side * min(0.9, 4 * loud))) :, side // 2 :] = GREEN
    return picture


class Network:
    """Something of torch's that can be moved and made smaller."""

    dtype = "float16"

    def half(self) -> "Network":
        return self

    def eval(self) -> "Network":
        return self

    def to(self, device: Any = None, dtype: Any = None) -> "Network":
        return self


def module(name: str, **content: Any) -> None:
    """Makes a module, and the packages that it is in."""
    parts = name.split(".")
    for end in range(1, len(parts) + 1):
        path = ".".join(parts[:end])
        if path not in sys.modules:
            sys.modules[path] = types.ModuleType(path)
            sys.modules[path].__path__ = []
    for key, value in content.items():
        setattr(sys.modules[name], key, value)


# MuseTalk, with torch, transformers and OpenCV.


class NoGrad:
    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: Any) -> None:
        pass


def torch_load(f: str) -> Any:
    with open(f, "rb") as file:
        return [tensor(one) for one in pickle.load(file)]


def imread(filename: str) -> Any:
    return numpy.asarray(Image.open(filename).convert("RGB"))[:, :, ::-1].copy()


def resize(src: Any, dsize: Any) -> Any:
    width, height = dsize
    assert src.dtype == numpy.uint8
    rows = numpy.arange(height) * len(src) // height
    return src[rows][:, numpy.arange(width) * src.shape[1] // width]


class AudioProcessor:
    def __init__(self, feature_extractor_path: str = "openai/whisper-tiny/") -> None:
        pass

    def get_audio_feature(self, wav_path: str, start_index: int = 0, weight_dtype: Any = None) -> Any:
        with wave.open(wav_path) as file:
            samples = numpy.frombuffer(file.readframes(file.getnframes()), "<i2") / 32_768
            return [tensor(samples)], len(samples) * 16_000 // file.getframerate()

    def get_whisper_chunk(
        self,
        whisper_input_features: Any,
        device: Any,
        weight_dtype: Any,
        whisper: Any,
        librosa_length: int,
        fps: int = 25,
        audio_padding_length_left: int = 2,
        audio_padding_length_right: int = 2,
    ) -> Any:
        assert isinstance(whisper, WhisperEncoder)
        count = math.floor(librosa_length / 16_000 * fps)
        pieces = numpy.array_split(numpy.concatenate(whisper_input_features), count)
        return tensor([numpy.full((2, 2), loudness(piece)) for piece in pieces])


class WhisperEncoder(Network):
    @classmethod
    def from_pretrained(cls, path: str) -> "WhisperEncoder":
        return cls()


class Predicted:
    def __init__(self, sample: Tensor) -> None:
        self.sample = sample


class UnetModel(Network):
    def __call__(self, sample: Any, timestep: Any, encoder_hidden_states: Any) -> Predicted:
        assert len(sample) == len(encoder_hidden_states) and list(timestep) == [0]
        return Predicted(encoder_hidden_states)


class Unet:
    def __init__(self) -> None:
        self.model = UnetModel()


class PositionalEncoding(Network):
    def __call__(self, x: Tensor) -> Tensor:
        return x


class Vae:
    def __init__(self) -> None:
        self.vae = Network()

    def decode_latents(self, latents: Any) -> Any:
        """BGR, 256×256."""
        return numpy.stack([face(float(one.mean()), 256)[:, :, ::-1] for one in latents])


def load_all_model(unet_model_path: str, vae_type: str, unet_config: str, device: Any = None) -> Any:
    assert vae_type == "sd-vae"
    return Vae(), Unet(), PositionalEncoding()


def datagen(
    whisper_chunks: Any, vae_encode_latents: Any, batch_size: int = 8, delay_frame: int = 0, device: str = "cuda:0"
) -> Iterator[Any]:
    for begin in range(0, len(whisper_chunks), batch_size):
        sound = whisper_chunks[begin : begin + batch_size]
        latents = [vae_encode_latents[(begin + i) % len(vae_encode_latents)] for i in range(len(sound))]
        yield sound, tensor(numpy.concatenate(latents))


def get_image_blending(image: Any, face: Any, face_box: Any, mask_array: Any, crop_box: Any) -> Any:
    left, top, right, bottom = face_box
    assert face.shape == (bottom - top, right - left, 3) and mask_array.dtype == numpy.uint8
    image[top:bottom, left:right] = face
    return image[:, :, ::-1][:, :, ::-1]


module(
    "torch",
    cuda=types.SimpleNamespace(is_available=lambda: False),
    device=str,
    load=torch_load,
    no_grad=NoGrad,
    tensor=tensor,
)
module("cv2", imread=imread, resize=resize)
module("transformers", WhisperModel=WhisperEncoder)
module("musetalk.utils.audio_processor", AudioProcessor=AudioProcessor)
module("musetalk.utils.blending", get_image_blending=get_image_blending)
module("musetalk.utils.utils", datagen=datagen, load_all_model=load_all_model)


# Ditto, with librosa.


def resample(y: Any, *, orig_sr: float, target_sr: float, res_type: str = "soxr_hq") -> Any:
    at = numpy.arange(0, len(y), orig_sr / target_sr)
    return numpy.interp(at, numpy.arange(len(y)), y)


class Writer:
    def __init__(self, video_path: str) -> None:
        assert Path(video_path).parent.is_dir()

    def __call__(self, img: Any, fmt: str = "bgr") -> None:
        raise AssertionError("a file is written")

    def close(self) -> None:
        pass


class StreamSDK:
    def __init__(self, cfg_pkl: str, data_root: str, **kwargs: Any) -> None:
        self.waiting: "queue.Queue[Any]" = queue.Queue(100)

    def setup(self, source_path: str, output_path: str, **kwargs: Any) -> None:
        assert kwargs == {"online_mode": True}
        self.writer: Any = Writer(output_path + ".tmp.mp4")
        self.thread = threading.Thread(target=self._work)
        self.thread.start()

    def setup_Nd(self, N_d: int, fade_in: int = -1, fade_out: int = -1, ctrl_info: Any = None) -> None:
        self.left = N_d

    def run_chunk(self, audio_chunk: Any, chunksize: Any = (3, 5, 2)) -> None:
        assert audio_chunk.shape == (6_480,) and audio_chunk.dtype == numpy.float32
        self.waiting.put(audio_chunk[3 * 640 : 8 * 640].reshape(5, 640))

    def _work(self) -> None:
        while (chunk := self.waiting.get()) is not None:
            for frame in chunk[: self.left]:
                self.writer(face(loudness(frame)), fmt="rgb")
                self.left -= 1

    def close(self) -> None:
        self.waiting.put(None)
        self.thread.join()
        self.writer.close()


module("librosa", resample=resample)
module("stream_pipeline_online", StreamSDK=StreamSDK)


# LivePortrait.


class Wrapper:
    def prepare_source(self, img: Any) -> Tensor:
        assert img.ndim == 3 and img.shape[2] == 3 and img.dtype == numpy.uint8
        return tensor(img)

    def get_kp_info(self, x: Tensor, **kwargs: Any) -> Any:
        # How green it is stands for what the face does.
        exp = numpy.zeros((1, 21, 3))
        exp[0, 20, 1] = x[:, :, 1].mean() / 255
        angles = {name: tensor([[0]]) for name in ("pitch", "yaw", "roll")}
        one = {"kp": tensor(numpy.ones((1, 21, 3))), "t": tensor([[0, 0, 1]]), "scale": tensor([[1.5]])}
        return {**angles, **one, "exp": tensor(exp)}

    def extract_feature_3d(self, x: Tensor) -> Tensor:
        return tensor(numpy.zeros((1, 32, 16, 64, 64)))

    def transform_keypoint(self, kp_info: Any) -> Tensor:
        points: Tensor = kp_info["kp"] + kp_info["exp"]
        return points

    def stitching(self, kp_source: Tensor, kp_driving: Tensor) -> Tensor:
        assert kp_source.shape == kp_driving.shape == (1, 21, 3)
        return kp_driving

    def warp_decode(self, feature_3d: Tensor, kp_source: Tensor, kp_driving: Tensor) -> Any:
        assert numpy.allclose(kp_driving[0, 0], (1.5, 1.5, 1.5)), "turned or moved"
        return {"out": kp_driving}

    def parse_output(self, out: Tensor) -> Any:
        return face(float(out[0, 20, 1]) / 1.5 - 1, 512)[None]


class Cropper:
    def crop_source_image(self, img_rgb_: Any, crop_cfg: "CropConfig") -> Any:
        assert isinstance(crop_cfg, CropConfig)
        return {"img_crop_256x256": img_rgb_[:256, :256]}

    def crop_driving_video(self, driving_rgb_lst: Any, **kwargs: Any) -> Any:
        return {"frame_crop_lst": driving_rgb_lst, "lmk_crop_lst": []}


class InferenceConfig:
    source_max_dim = 1280
    source_division = 2


class CropConfig:
    pass


class LivePortraitPipeline:
    def __init__(self, inference_cfg: InferenceConfig, crop_cfg: CropConfig) -> None:
        self.live_portrait_wrapper, self.cropper = Wrapper(), Cropper()


def load_image_rgb(image_path: str) -> Any:
    return numpy.zeros((512, 512, 3), numpy.uint8)


def load_video(video_info: str, n_frames: int = -1) -> Any:
    return [numpy.full((512, 512, 3), (0, green, 0), numpy.uint8) for green in range(0, 75, 3)]


def resize_to_limit(img: Any, max_dim: int = 1920, division: int = 2) -> Any:
    return img


def get_fps(filepath: str, default_fps: int = 25) -> float:
    return 25.0


def get_rotation_matrix(pitch_: Any, yaw_: Any, roll_: Any) -> Tensor:
    return tensor(numpy.eye(3)[None])


module("src.config.crop_config", CropConfig=CropConfig)
module("src.config.inference_config", InferenceConfig=InferenceConfig)
module("src.live_portrait_pipeline", LivePortraitPipeline=LivePortraitPipeline)
module("src.utils.camera", get_rotation_matrix=get_rotation_matrix)
module("src.utils.io", load_image_rgb=load_image_rgb, load_video=load_video, resize_to_limit=resize_to_limit)
module("src.utils.video", get_fps=get_fps)


# XTTS.


class XttsConfig:
    def load_json(self, file_name: str) -> None:
        assert file_name.endswith("/config.json")


class Xtts:
    @staticmethod
    def init_from_config(config: XttsConfig, **kwargs: Any) -> "Xtts":
        return Xtts()

    def load_checkpoint(
        self,
        config: XttsConfig,
        checkpoint_dir: Any = None,
        checkpoint_path: Any = None,
        vocab_path: Any = None,
        eval: bool = True,
        strict: bool = True,
        use_deepspeed: bool = False,
    ) -> None:
        assert checkpoint_dir

    def cuda(self) -> None:
        pass

    def get_conditioning_latents(self, audio_path: Any, max_ref_length: int = 30, gpt_cond_len: int = 6) -> Any:
        assert Path(audio_path[0]).exists()
        return tensor(numpy.zeros((1, 32, 1024))), tensor(numpy.zeros((1, 512, 1)))

    def inference_stream(
        self,
        text: str,
        language: str,
        gpt_cond_latent: Tensor,
        speaker_embedding: Tensor,
        stream_chunk_size: int = 20,
        overlap_wav_len: int = 1024,
    ) -> Iterator[Tensor]:
        assert gpt_cond_latent.shape == (1, 32, 1024) and speaker_embedding.shape == (1, 512, 1)
        at = 0
        for size in (21_248, 20_480, 20_480, 13_000):
            seconds = numpy.arange(at, at + size) / 24_000
            yield tensor(0.3 * numpy.sin(math.tau * seconds) ** 2 * numpy.sin(math.tau * 500 * seconds))
            at += size


module("TTS.tts.configs.xtts_config", XttsConfig=XttsConfig)
module("TTS.tts.models.xtts", Xtts=Xtts)


# Whisper.


class Segment:
    def __init__(self, text: str) -> None:
        self.text = text


class WhisperModel:
    def __init__(
        self,
        model_size_or_path: str,
        device: str = "auto",
        device_index: int = 0,
        compute_type: str = "default",
    ) -> None:
        assert model_size_or_path == "small"

    def transcribe(
        self,
        audio: Any,
        language: Any = None,
        task: str = "transcribe",
        log_progress: bool = False,
        beam_size: int = 5,
    ) -> Any:
        assert audio.dtype == numpy.float32 and audio.ndim == 1 and 0.05 < abs(audio).max() <= 1
        return (Segment(text) for text in (f" {len(audio) / 16_000:.1f} seconds", " were heard.")), None


module("faster_whisper", WhisperModel=WhisperModel)

if __name__ == "__main__":
    del sys.argv[0]
    sys.path[0] = str(Path(sys.argv[0]).parent)
    runpy.run_path(sys.argv[0], run_name="__main__")
