"""KServe's own Python server, Open Inference over gRPC and HTTP.

python -m benchmarks.peers.programs.kserve_server --grpc_port PORT ...      MODEL, ORT_THREADS
"""

import argparse
import logging
import os

from kserve import InferOutput, InferRequest, InferResponse, Model, ModelServer, model_server
from kserve.logging import logger

from benchmarks.peers.programs.onnx_model import OnnxModel


class Classifier(Model):  # type: ignore[misc] # kserve is installed in its own environment alone
    """The graph, with all its outputs, as raw bytes."""

    def load(self) -> bool:
        """Once, before the first request."""
        self._onnx = OnnxModel(os.environ["MODEL"])
        self.ready = True
        return self.ready

    def predict(self, payload: InferRequest, headers: object = None, response_headers: object = None) -> InferResponse:
        """The rows of one request: this server gathers none."""
        results = self._onnx.run(payload.inputs[0].as_numpy())
        outputs = []
        for name, result in zip(self._onnx.outputs, results, strict=True):
            output = InferOutput(name, list(result.shape), "FP32")
            output.set_data_from_numpy(result, binary_data=True)
            outputs.append(output)
        return InferResponse(payload.id or "", self.name, outputs)


if __name__ == "__main__":
    arguments, _ = argparse.ArgumentParser(parents=[model_server.parser]).parse_known_args()
    model = Classifier(arguments.model_name)
    model.load()
    server = ModelServer()
    logger.setLevel(logging.WARNING)  # it would log a line for each call, which halves its speed
    server.start([model])
