"""mosec over HTTP: the body is the raw pixels of one or more images, the answer their probabilities in float32.

python -m benchmarks.peers.programs.mosec_server --address 127.0.0.1 --port PORT      MODEL, WORKERS, ORT_THREADS
"""

import os

import numpy as np
from mosec import Server, Worker

from benchmarks.peers.programs.onnx_model import OnnxModel

MAX_BATCH_SIZE = 16
"""Requests of one run."""
MAX_WAIT_MS = 1
"""For a batch to fill; the least that can be set."""


class Classifier(Worker):  # type: ignore[misc] # mosec is installed in its own environment alone
    """A process with the graph."""

    def __init__(self) -> None:
        """Loads the graph."""
        super().__init__()
        self._model = OnnxModel(os.environ["MODEL"])

    def deserialize(self, data: bytes) -> np.ndarray:
        """Of the request's body."""
        return self._model.of_bytes(data)

    def forward(self, data: list[np.ndarray]) -> list[np.ndarray]:
        """For each request its rows."""
        results = self._model.probabilities(data[0] if len(data) == 1 else np.concatenate(data))
        ends = np.cumsum([len(images) for images in data])[:-1]
        return np.split(results, ends)

    def serialize(self, data: np.ndarray) -> bytes:
        """The answer's body."""
        return data.tobytes()


if __name__ == "__main__":
    server = Server()
    server.append_worker(
        Classifier, num=int(os.environ["WORKERS"]), max_batch_size=MAX_BATCH_SIZE, max_wait_time=MAX_WAIT_MS
    )
    server.run()
