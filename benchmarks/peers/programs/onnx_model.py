"""The graph as every peer in Python runs it: on the CPU, with the given number of threads."""

import os

import numpy as np
import onnxruntime as ort


class OnnxModel:
    """One tensor in, whose first dimension is the batch; named arrays out."""

    def __init__(self, path: str) -> None:
        """Loads it; ORT_THREADS is how many threads a run has."""
        options = ort.SessionOptions()
        options.intra_op_num_threads = int(os.environ["ORT_THREADS"])
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        (read,) = self._session.get_inputs()
        self.input = read.name
        self.dtype = np.dtype({"tensor(uint8)": "uint8", "tensor(float)": "float32"}[read.type])
        self.shape = tuple(read.shape[1:])
        self.outputs = [output.name for output in self._session.get_outputs()]

    def run(self, images: np.ndarray) -> list[np.ndarray]:
        """One array for each of `outputs`, each with a row for each image; images has shape (N, *shape)."""
        results: list[np.ndarray] = self._session.run(None, {self.input: images})
        return results

    def probabilities(self, images: np.ndarray) -> np.ndarray:
        """Float32, shape (N, K)."""
        return self.run(images)[self.outputs.index("probabilities")]

    def of_bytes(self, body: bytes) -> np.ndarray:
        """Images of shape (N, *shape) from their raw bytes."""
        return np.frombuffer(body, self.dtype).reshape(-1, *self.shape)
