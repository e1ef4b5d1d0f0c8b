"""model.py of Triton's Python backend that takes image files: Pillow, then ONNX Runtime on the batch."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import triton_python_backend_utils as pb
from PIL import Image

from benchmarks.peers.programs.onnx_model import OnnxModel

FILE = str(Path(__file__).with_name("model.onnx"))


class TritonPythonModel:
    """What the backend calls."""

    @staticmethod
    def auto_complete_config(config: Any) -> Any:
        """A file in, the probabilities of all classes out; the batch is Triton's."""
        model = OnnxModel(FILE)
        classes = model.probabilities(np.zeros((1, *model.shape), model.dtype)).shape[1]
        config.add_input({"name": "files", "data_type": "TYPE_STRING", "dims": [1]})
        config.add_output({"name": "probabilities", "data_type": "TYPE_FP32", "dims": [classes]})
        return config

    def initialize(self, args: dict[str, str]) -> None:
        """Once for each instance, which is a process."""
        self._model = OnnxModel(FILE)

    def execute(self, requests: list[Any]) -> list[Any]:
        """One run for all requests; to each its rows."""
        parts = [pb.get_input_tensor_by_name(request, "files").as_numpy().reshape(-1) for request in requests]
        probabilities = self._model.probabilities(np.stack([self._decoded(file) for part in parts for file in part]))
        answers, start = [], 0
        for part in parts:
            rows = probabilities[start : start + len(part)]
            answers.append(pb.InferenceResponse([pb.Tensor("probabilities", rows)]))
            start += len(part)
        return answers

    def _decoded(self, file: bytes) -> np.ndarray:
        """The largest square in the middle of the picture, as the model was trained; shape (H, W, 3)."""
        height, width, _ = self._model.shape
        picture = Image.open(io.BytesIO(file)).convert("RGB")
        side = min(picture.size)
        left, upper = (picture.width - side) // 2, (picture.height - side) // 2
        square = picture.crop((left, upper, left + side, upper + side))
        return np.asarray(square.resize((width, height), Image.Resampling.BILINEAR))
