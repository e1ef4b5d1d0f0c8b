import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from vouch.server.services.ranking import highest

FLOATS = st.sampled_from([0.0, -0.0, 0.25, -0.25, 1.0, -3e38, 3e38, 1e-45, -1e-45]) | st.floats(
    allow_nan=False, allow_infinity=False, width=32
)


@given(arrays(np.float32, array_shapes(min_dims=2, max_dims=2, max_side=9), elements=FLOATS), st.data())
def test_the_highest_come_in_falling_order_and_of_equals_the_first(values: np.ndarray, data: st.DataObject) -> None:
    """Whatever their signs and however many are equal, as a stable sort of each row has them."""
    top_k = data.draw(st.integers(1, values.shape[1]))
    expected = np.argsort(-values, axis=1, kind="stable")[:, :top_k]

    found = highest(values, top_k)

    assert found.classes == expected.ravel().tolist()
    assert found.values.tolist() == np.take_along_axis(values, expected, axis=1).ravel().tolist()
    assert found.values.data.contiguous


@pytest.mark.parametrize("top_k", [1, 2, 5, 300])
def test_many_classes_are_ranked_alike(top_k: int) -> None:
    """Where a part of them is wanted, and where all are."""
    values = np.round(np.random.default_rng(0).normal(size=(40, 300)), 1).astype(np.float32)

    expected = np.argsort(-values, axis=1, kind="stable")[:, :top_k]
    assert highest(values, top_k).classes == expected.ravel().tolist()
