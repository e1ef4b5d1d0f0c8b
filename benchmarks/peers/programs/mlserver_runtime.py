"""A runtime of MLServer, which has none for ONNX; MODEL names the file."""

import os

from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceRequest, InferenceResponse

from benchmarks.peers.programs.onnx_model import OnnxModel


class OnnxRuntime(MLModel):  # type: ignore[misc] # mlserver is installed in its own environment alone
    """The graph, with all its outputs."""

    async def load(self) -> bool:
        """Once, before the first request."""
        self._onnx = OnnxModel(os.environ["MODEL"])
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """The rows of one request, or of several that the adaptive batcher joined."""
        images = NumpyCodec.decode_input(payload.inputs[0]).astype(self._onnx.dtype, copy=False)
        named = zip(self._onnx.outputs, self._onnx.run(images), strict=True)
        outputs = [NumpyCodec.encode_output(name, result) for name, result in named]
        return InferenceResponse(model_name=self.name, outputs=outputs)
