"""Files are decoded as the model was trained: by the rules, bits and ground of its manifest."""

import io
import json
from typing import get_args

import grpc
import numpy as np
import pytest
from PIL import Image

from tests.server.services.classifier.calls import refusal
from tests.support.serving import Serving
from tests.support.tiny import SIDE, publish_tiny
from vouch.bundle.listed import MANIFEST
from vouch.bundle.opening import open_bundle
from vouch.bundle.pixel_settings import FIRST_RULES, Fit, PixelSettings
from vouch.client.models import read_pixels
from vouch.protos.vouch.v1 import classifier_pb2 as pb


def png(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def rows(*values: int, kind: type = np.uint8) -> np.ndarray:
    """An image 4 wide in which each row has one value."""
    return np.repeat(np.array(values, kind)[:, None], SIDE, axis=1)


HIDDEN = png(Image.merge("LA", [Image.fromarray(rows(0, 0, 200, 0)), Image.fromarray(rows(0, 255, 0, 255))]))
"""Its third row is bright and transparent, its first is black and transparent."""


async def label_of(serving: Serving, file: bytes, model: str) -> str:
    request = pb.PredictRequest(model=model, encoded=pb.EncodedImages(files=[file]), top_k=3)
    answer = await serving.classifier.Predict(request)
    one, two = answer.probabilities[:2]
    return answer.labels[0] if one > two else f"{answer.labels[0]} or {answer.labels[1]}"


async def test_an_old_bundle_drops_alpha_as_it_did(serving: Serving) -> None:
    """Without a number in its manifest a model keeps the rules that it was trained with; others lay a ground."""
    old = publish_tiny(serving.folder, "old")
    manifest = json.loads((old.path / MANIFEST).read_text())
    for newer in ("rules", "bits", "ground", "fit"):
        del manifest["input"][newer]
    (old.path / MANIFEST).write_text(json.dumps(manifest))
    serving.install(open_bundle(old.path))
    black = PixelSettings(height=SIDE, width=SIDE, ground="#000000")
    serving.install(publish_tiny(serving.folder, "black", pixels=black))

    assert serving.catalog.find("old").bundle.manifest.input.rules == FIRST_RULES
    assert await label_of(serving, HIDDEN, "old") == "third"
    assert await label_of(serving, HIDDEN, "tiny") == "first or third"  # both are white
    assert await label_of(serving, HIDDEN, "black") == "first or second"  # all is black
    about = await serving.classifier.GetModel(pb.GetModelRequest(model="old"))
    assert about.model.versions[0].decoding == pb.Decoding(rules=1, bits=16, ground="#ffffff", fit="stretch")


async def test_bits_are_obeyed(serving: Serving) -> None:
    """Where 10 of 16 are in use a sample of 1,023 is white, and one of 1,024 is refused with the reason."""
    ten = PixelSettings(height=SIDE, width=SIDE, bits=10)
    serving.install(publish_tiny(serving.folder, "ten", pixels=ten))
    dark = png(Image.fromarray(rows(0, 1023, 0, 0, kind=np.uint16)))
    bad = png(Image.fromarray(rows(0, 1024, 0, 0, kind=np.uint16)))

    sure = await serving.classifier.Predict(pb.PredictRequest(model="ten", encoded=pb.EncodedImages(files=[dark])))
    unsure = await serving.classifier.Predict(pb.PredictRequest(model="tiny", encoded=pb.EncodedImages(files=[dark])))
    code, details = await refusal(
        serving.classifier.Predict(pb.PredictRequest(model="ten", encoded=pb.EncodedImages(files=[dark, bad])))
    )

    assert (sure.labels[0], sure.probabilities[0] > 0.99) == ("second", True)
    assert unsure.probabilities[0] == pytest.approx(np.exp(3 * 4 / 64) / (np.exp(3 * 4 / 64) + 2))
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert details == "file 1: it has a 16-bit sample of 1,024; files of 10 bits (--bits 10) hold at most 1,023"


async def test_fit_is_obeyed_and_told(serving: Serving) -> None:
    """Of a high picture a model sees all rows, or the middle ones alone, as it was trained; a caller learns which."""
    high = png(Image.fromarray(rows(*[255] * 4, *(0, 200, 0, 0), *[0] * 4)))
    for fit in get_args(Fit):
        pixels = PixelSettings(height=SIDE, width=SIDE, fit=fit, ground="#000000")
        serving.install(publish_tiny(serving.folder, fit, pixels=pixels))

    seen = {fit: await label_of(serving, high, fit) for fit in get_args(Fit)}

    assert seen == {"stretch": "first", "crop": "second", "pad": "first"}
    for fit in get_args(Fit):
        about = await serving.classifier.GetModel(pb.GetModelRequest(model=fit))
        told = read_pixels(about.model.versions[0])
        assert told == serving.catalog.find(fit).bundle.manifest.input
