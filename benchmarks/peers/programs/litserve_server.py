"""LitServe over HTTP: the body is the raw pixels of one or more images, the answer their probabilities in float32.

python -m benchmarks.peers.programs.litserve_server PORT      MODEL, WORKERS, ORT_THREADS
"""

import os
import sys
from typing import Annotated

import litserve
import numpy as np
from fastapi import Body, Response

from benchmarks.peers.programs.onnx_model import OnnxModel

MAX_BATCH_SIZE = 64
"""Requests of one run: as many as the load has at once."""
BATCH_TIMEOUT_S = 0.001
Split = tuple[np.ndarray, list[int]]
"""Rows of all requests, and how many are of each."""


class Classifier(litserve.LitAPI):  # type: ignore[misc] # litserve is installed in its own environment alone
    """The graph, in each worker."""

    def setup(self, device: str) -> None:
        """Loads the graph."""
        self._model = OnnxModel(os.environ["MODEL"])

    def decode_request(self, request: Annotated[bytes, Body(media_type="application/octet-stream")]) -> np.ndarray:
        """Of the request's body."""
        return self._model.of_bytes(request)

    def batch(self, inputs: list[np.ndarray]) -> Split:
        """One array of all requests' images."""
        return np.concatenate(inputs), [len(images) for images in inputs]

    def predict(self, x: Split) -> Split:
        """Probabilities in place of images."""
        return self._model.probabilities(x[0]), x[1]

    def unbatch(self, output: Split) -> list[np.ndarray]:
        """For each request its rows."""
        return np.split(output[0], np.cumsum(output[1])[:-1])

    def encode_response(self, output: np.ndarray) -> Response:
        """The answer's body."""
        return Response(output.tobytes(), media_type="application/octet-stream")


if __name__ == "__main__":
    api = Classifier(max_batch_size=MAX_BATCH_SIZE, batch_timeout=BATCH_TIMEOUT_S)
    server = litserve.LitServer(
        api, accelerator="cpu", workers_per_device=int(os.environ["WORKERS"]), fast_queue=True, timeout=60
    )
    server.run(host="127.0.0.1", port=int(sys.argv[1]), generate_client_file=False, log_level="warning")
