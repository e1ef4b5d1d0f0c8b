"""Requests of ModelInfer."""

from typing import Any

import numpy as np

from vouch.protos.inference import inference_pb2 as pb


def raw_request(images: np.ndarray, **fields: Any) -> pb.ModelInferRequest:
    tensor = pb.ModelInferRequest.InferInputTensor(name="images", datatype="UINT8", shape=images.shape)
    return pb.ModelInferRequest(
        **{"model_name": "tiny", "inputs": [tensor], "raw_input_contents": [images.tobytes()]} | fields
    )


def typed_request(images: np.ndarray, **contents: Any) -> pb.ModelInferRequest:
    values = contents or {"uint_contents": images.ravel().tolist()}
    tensor = pb.ModelInferRequest.InferInputTensor(
        name="images", datatype="UINT8", shape=images.shape, contents=pb.InferTensorContents(**values)
    )
    return pb.ModelInferRequest(model_name="tiny", inputs=[tensor])


def asking(name: str, **parameters: pb.InferParameter) -> pb.ModelInferRequest.InferRequestedOutputTensor:
    """A requested output with these parameters."""
    return pb.ModelInferRequest.InferRequestedOutputTensor(name=name, parameters=parameters)
