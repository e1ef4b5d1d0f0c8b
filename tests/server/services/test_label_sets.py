from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from tests.support.tiny import BY_CLASS, PROMISES, THRESHOLDS, publish_tiny, tiny_images, tiny_probabilities
from vouch.bundle.label_sets import label_sets
from vouch.bundle.store import ModelsFolder
from vouch.server.errors import InvalidRequest
from vouch.server.services.label_sets import ranked, set_rule


@given(arrays(np.float32, array_shapes(min_dims=2, max_dims=2), elements=st.sampled_from([0.0, 0.25, 0.5])), st.data())
def test_sets_become_columns(probabilities: np.ndarray, data: st.DataObject) -> None:
    """Each image's members in falling order of probability, of equals the first first; empty sets have no entries."""
    members = data.draw(arrays(np.bool_, probabilities.shape))
    expected = [
        sorted(np.flatnonzero(belongs).tolist(), key=lambda k: (-row[k], k))
        for row, belongs in zip(probabilities, members, strict=True)
    ]

    sizes, labels = ranked(probabilities, members)

    assert sizes == [len(one) for one in expected]
    assert labels == [k for one in expected for k in one]


def test_a_promise_is_found_by_its_coverage(tmp_path: Path) -> None:
    """Rounded to six digits, as a float32 would carry it; without a coverage there is no rule."""
    manifest = publish_tiny(ModelsFolder(tmp_path)).manifest
    probabilities = tiny_probabilities(tiny_images(50)[0])

    for coverage, threshold in PROMISES.items():
        rule = set_rule(manifest, float(np.float32(coverage)))
        assert rule is not None
        np.testing.assert_array_equal(rule(probabilities), label_sets(probabilities, threshold))
    assert set_rule(manifest, 0.0) is None
    with pytest.raises(InvalidRequest, match=r"promises no coverage of 0\.8; it promises 0\.9, 0\.99$"):
        set_rule(manifest, 0.8)


def test_a_promise_that_is_withheld_is_refused_with_the_reason(tmp_path: Path) -> None:
    """What is promised is named, and why this is not; also where nothing is."""
    manifest = publish_tiny(ModelsFolder(tmp_path)).manifest
    assert manifest.calibration is not None
    nothing = manifest.calibration.model_copy(update={"coverages": ()})
    reason = "no promise of 95%: it needs 45 calibration images, and there are 40"

    with pytest.raises(InvalidRequest, match=rf"no coverage of 0\.95; it promises 0\.9, 0\.99; {reason}$"):
        set_rule(manifest, float(np.float32(0.95)))
    with pytest.raises(InvalidRequest, match=rf"it promises none; {reason}$"):
        set_rule(manifest.model_copy(update={"calibration": nothing}), 0.95)


def test_a_promise_by_class_has_a_threshold_for_each_class(tmp_path: Path) -> None:
    """The rule is that of the bundle."""
    rule = set_rule(publish_tiny(ModelsFolder(tmp_path), by_class=True).manifest, 0.99)
    probabilities = tiny_probabilities(tiny_images(50)[0])

    assert rule is not None
    np.testing.assert_array_equal(rule(probabilities), label_sets(probabilities, np.array(BY_CLASS)))
    assert (rule(probabilities) != label_sets(probabilities, min(BY_CLASS))).any()


def test_a_multi_label_model_always_has_a_rule(tmp_path: Path) -> None:
    """Each label from its own threshold on; a coverage is not promised."""
    manifest = publish_tiny(ModelsFolder(tmp_path), task="multi_label").manifest
    rule = set_rule(manifest, 0.0)
    below = np.nextafter(np.array(THRESHOLDS, np.float32), np.float32(0))

    assert rule is not None
    assert rule(np.array([THRESHOLDS, below], np.float32)).tolist() == [[True] * 3, [False] * 3]
    with pytest.raises(InvalidRequest, match="a multi-label model, which promises no coverage"):
        set_rule(manifest, 0.9)
