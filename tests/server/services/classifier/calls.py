"""Requests of Predict, and what a refused one is told."""

import io

import grpc
import numpy as np
import pytest
from PIL import Image

from vouch.protos.vouch.v1 import classifier_pb2 as pb


def raw(images: np.ndarray, **fields: float | str) -> pb.PredictRequest:
    return pb.PredictRequest(raw=pb.RawImages(pixels=images.tobytes(), shape=images.shape), **fields)  # type: ignore[arg-type]


def png(image: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(image).save(file, "PNG")
    return file.getvalue()


async def refusal(call: object) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(grpc.aio.AioRpcError) as failure:
        await call  # type: ignore[misc]
    return failure.value.code(), failure.value.details() or ""
