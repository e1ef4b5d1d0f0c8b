"""model.py of Triton's Python backend: ONNX Runtime on the dynamic batcher's batches; model.onnx is beside it."""

from pathlib import Path
from typing import Any

import numpy as np
import triton_python_backend_utils as pb

from benchmarks.peers.programs.onnx_model import OnnxModel

FILE = str(Path(__file__).with_name("model.onnx"))
TYPES = {"uint8": "TYPE_UINT8", "float32": "TYPE_FP32"}


class TritonPythonModel:
    """What the backend calls."""

    @staticmethod
    def auto_complete_config(config: Any) -> Any:
        """The inputs and outputs of the graph, whatever their names; the batch is Triton's."""
        model = OnnxModel(FILE)
        images = np.zeros((1, *model.shape), model.dtype)
        config.add_input({"name": model.input, "data_type": TYPES[model.dtype.name], "dims": list(model.shape)})
        for name, result in zip(model.outputs, model.run(images), strict=True):
            config.add_output({"name": name, "data_type": TYPES[result.dtype.name], "dims": list(result.shape[1:])})
        return config

    def initialize(self, args: dict[str, str]) -> None:
        """Once for each instance, which is a process."""
        self._model = OnnxModel(FILE)

    def execute(self, requests: list[Any]) -> list[Any]:
        """One run for all requests; to each its rows."""
        parts = [pb.get_input_tensor_by_name(request, self._model.input).as_numpy() for request in requests]
        results = self._model.run(parts[0] if len(parts) == 1 else np.concatenate(parts))
        answers, start = [], 0
        for part in parts:
            rows = slice(start, start + len(part))
            tensors = [pb.Tensor(name, rows_of[rows]) for name, rows_of in zip(self._model.outputs, results)]  # noqa: B905 - one result a name
            answers.append(pb.InferenceResponse(tensors))
            start += len(part)
        return answers
