from concurrent.futures import ThreadPoolExecutor

import numpy as np
import onnxruntime as ort
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.tiny import tiny_graph, tiny_images
from vouch.server.errors import ModelFailed
from vouch.server.model.cuda import BoundSession, bucket_sizes
from vouch.server.model.session import open_session
from vouch.server.settings import Provider

HERE: list[Provider] = ["cpu"]
if "CUDAExecutionProvider" in ort.get_available_providers():
    HERE.append("cuda")
"""The buffers, the buckets and the binding are the same on the processor, so most can be tried without a GPU."""


def bound(provider: Provider, most: int) -> BoundSession:
    return BoundSession(open_session(tiny_graph(), provider, 1), provider, most)


@pytest.mark.parametrize(
    ("most", "sizes"),
    [(1, [1]), (2, [1, 2]), (3, [1, 2, 3]), (8, [1, 2, 4, 8]), (100, [1, 2, 4, 8, 16, 32, 64, 100])],
)
def test_buckets_are_powers_of_two_and_the_largest_batch(most: int, sizes: list[int]) -> None:
    """So few shapes that all can be warmed up, and less than half of a run for nothing."""
    assert bucket_sizes(most) == sizes


@pytest.mark.parametrize("provider", HERE)
@settings(max_examples=40, deadline=None)
@given(sizes=st.lists(st.integers(1, 20), min_size=1, max_size=5))
def test_any_batch_is_answered_as_without_buckets(provider: Provider, sizes: list[int]) -> None:
    """What an earlier run has left in a buffer is nobody's answer; what was answered stays as it was."""
    plain, session = open_session(tiny_graph(), "cpu", 1), bound(provider, 20)
    rng = np.random.default_rng(0)
    batches = [rng.integers(0, 256, (size, 4, 4), dtype=np.uint8) for size in sizes]

    answers = [session.run(np.array_split(images, 3)) for images in batches]

    for images, answer in zip(batches, answers, strict=True):
        expected = plain.run([images])
        np.testing.assert_allclose(answer.probabilities, expected.probabilities, atol=1e-5)
        np.testing.assert_allclose(answer.logits, expected.logits, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("provider", HERE)
def test_runs_from_several_threads_never_mix(provider: Provider) -> None:
    """They share the buffers, one after the other."""
    session = bound(provider, 8)
    images, labels = tiny_images(200)
    with ThreadPoolExecutor(4) as pool:
        answers = pool.map(lambda start: session.run([images[start : start + 5]]), range(0, 200, 5))

    assert np.concatenate([answer.probabilities.argmax(axis=1) for answer in answers]).tolist() == labels.tolist()


@pytest.mark.parametrize("images", [np.zeros((2, 7, 7), np.uint8), np.zeros((9, 4, 4), np.uint8)])
def test_what_does_not_fit_the_buffers_is_a_model_failure(images: np.ndarray) -> None:
    """As it is without them."""
    with pytest.raises(ModelFailed, match=f"failed on {len(images)} images"):
        bound("cpu", 8).run([images])
