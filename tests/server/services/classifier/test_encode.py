import asyncio
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.made_up import MadeUp, labelled, serve
from vouch.bundle.label_sets import label_sets
from vouch.bundle.opening import Bundle
from vouch.protos.vouch.v1 import classifier_pb2 as pb
from vouch.server.rpc.context import CallContext
from vouch.server.services.classifier.service import Classifier
from vouch.server.services.predictor import Predictor
from vouch.server.serving.catalog import Catalog
from vouch.server.serving.gate import Gate

LABELS = [f"label {k}" * (k % 3) for k in range(200)]
COVERAGE, THRESHOLD = 0.9, 3e-4


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """Of 200 classes, some labels empty; each image's set has over 127 of them."""
    return labelled(tmp_path_factory.mktemp("models"), LABELS)


def images(count: int) -> np.ndarray:
    return np.random.default_rng(count).integers(0, 256, (count, 4, 4), dtype=np.uint8)


async def predict(bundle: Bundle, request: pb.PredictRequest) -> bytes:
    """The answer as it goes out."""
    catalog = Catalog()
    serve(catalog, bundle, MadeUp(len(bundle.manifest.labels)))
    service = Classifier(catalog, Gate(), Predictor(catalog, no_files, 5000, 1 << 24))
    (method,) = (method for method in service.methods() if method.path.endswith("/Predict"))
    assert method.wire is not None
    parts = method.wire(request.SerializeToString(), CallContext())
    whole = b"".join(parts if isinstance(parts, tuple) else await parts)
    await catalog.close()
    return whole


async def no_files(*_: object) -> np.ndarray:
    raise AssertionError


def as_protobuf_writes(bundle: Bundle, pixels: np.ndarray, top_k: int, coverage: float) -> pb.PredictResponse:
    """The same answer by the simplest means."""
    manifest, (probabilities, _) = bundle.manifest, MadeUp(len(bundle.manifest.labels))([pixels])
    ranks = np.argsort(-probabilities, axis=1, kind="stable")
    sets = label_sets(probabilities, THRESHOLD) if coverage else np.zeros_like(probabilities, bool)
    return pb.PredictResponse(
        model=manifest.name,
        version=manifest.version,
        top_k=top_k,
        labels=[manifest.labels[k] for k in ranks[:, :top_k].ravel()],
        probabilities=np.take_along_axis(probabilities, ranks[:, :top_k], axis=1).ravel(),
        set_sizes=sets.sum(axis=1) if coverage else (),
        set_labels=[manifest.labels[k] for row, order in zip(sets, ranks, strict=True) for k in order if row[k]],
    )


@settings(max_examples=25, deadline=None)
@given(count=st.integers(1, 40), top_k=st.sampled_from([1, 2, 150, 200]), coverage=st.sampled_from([0.0, COVERAGE]))
def test_an_answer_in_parts_is_what_protobuf_would_write(
    bundle: Bundle, count: int, top_k: int, coverage: float
) -> None:
    """Labels, probabilities, set sizes of one byte and of two, and labels of sets."""
    pixels = images(count)
    raw = pb.RawImages(pixels=pixels.tobytes(), shape=pixels.shape)

    answer = asyncio.run(predict(bundle, pb.PredictRequest(raw=raw, top_k=top_k, coverage=coverage)))

    expected = as_protobuf_writes(bundle, pixels, top_k, coverage)
    assert pb.PredictResponse.FromString(answer) == expected
    assert len(answer) == expected.ByteSize()


@pytest.mark.parametrize(("top_k", "coverage"), [(1, 0.0), (200, 0.0), (3, COVERAGE)])
async def test_an_answer_written_in_a_thread_piece_by_piece_is_the_same(
    bundle: Bundle, top_k: int, coverage: float
) -> None:
    """Of so many images that they take several pieces."""
    pixels = images(3000)
    raw = pb.RawImages(pixels=pixels.tobytes(), shape=pixels.shape)

    answer = await predict(bundle, pb.PredictRequest(raw=raw, top_k=top_k, coverage=coverage))

    assert pb.PredictResponse.FromString(answer) == as_protobuf_writes(bundle, pixels, top_k, coverage)


async def test_an_image_without_a_label_has_an_empty_set(tmp_path: Path) -> None:
    """Sizes are told for every image, also where all are 0."""
    bundle = labelled(tmp_path, LABELS[:4], thresholds=(1.0,) * 4)

    answer = pb.PredictResponse.FromString(
        await predict(bundle, pb.PredictRequest(raw=pb.RawImages(pixels=bytes(48), shape=[3, 4, 4])))
    )

    assert (list(answer.set_sizes), list(answer.set_labels)) == ([0, 0, 0], [])
