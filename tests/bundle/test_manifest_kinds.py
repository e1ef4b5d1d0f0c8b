import json
from typing import Any

import pytest

from tests.bundle.made_up import made_up_manifest
from tests.support.manifests import WITHHELD, calibrated, edited
from tests.support.older import older_manifest
from vouch.bundle.accuracy import wilson_interval
from vouch.bundle.claims import MultiLabelClaim
from vouch.bundle.errors import InvalidBundle
from vouch.bundle.manifest import read_manifest
from vouch.bundle.multi_label import MultiLabelTally
from vouch.bundle.quantization import numbers_in_words
from vouch.bundle.tally import Tally


def quantized(**changes: Any) -> dict[str, Any]:
    """An int8 graph that lost one of 1,000 answers, with other values where they are given."""
    counts = {"float_tune": {"correct": 990, "total": 1000}, "tune": {"correct": 989, "total": 1000}}
    return {"kind": "int8", **counts, "max_drop": 0.1} | changes


def test_a_smaller_graph_says_what_it_cost() -> None:
    """The counts of both graphs on tune stand in the manifest."""
    found = read_manifest(edited("quantization", quantized()))
    assert found.quantization is not None

    assert read_manifest(found.to_json()) == found
    assert found.quantization.tune.accuracy.accuracy == 0.989
    assert found.quantization.only_float is None  # of a bundle from before pairs were counted
    assert made_up_manifest().quantization is None


def test_what_a_graph_computes_with_is_said_in_words() -> None:
    """With the pairs where they were counted, and with the reason where int8 was refused."""
    older, counted = (
        read_manifest(edited("quantization", quantized(**pairs))).quantization
        for pairs in ({}, {"only_float": 2, "only_int8": 1})
    )
    assert older
    assert counted

    assert older.in_words() == "989 of 1,000 calibration images right, in float32 990"
    assert numbers_in_words(counted, None) == (
        "int8: 989 of 1,000 calibration images right, in float32 990; 2 only in float32, 1 only in int8 "
        "(McNemar's one-sided test: p = 0.5)"
    )
    assert numbers_in_words(None, "too few images") == "float32, not int8: too few images"
    assert numbers_in_words(None, None) is None


def test_why_there_is_no_smaller_graph_is_kept() -> None:
    """Where it was asked for and refused; it cannot be there as well."""
    refused = edited("quantization_refused", "too few images")
    both = json.dumps(json.loads(refused) | {"quantization": quantized()}).encode()

    assert read_manifest(refused).quantization_refused == "too few images"
    assert made_up_manifest().quantization_refused is None
    with pytest.raises(InvalidBundle, match="both present and refused"):
        read_manifest(both)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kind": "int4"}, "int8"),
        ({"max_drop": 0.05}, "lost 0.10 percentage points"),
        ({"tune": {"correct": 989, "total": 999}}, "same calibration images"),
        ({"tune": {"correct": 1, "total": 10**30}}, "less than or equal to"),
        ({"only_float": 3}, "both only_float and only_int8, or neither"),
        ({"only_float": 3, "only_int8": 3}, "do not fit their counts"),
        ({"only_float": 991, "only_int8": 990}, "do not fit their counts"),
        ({"only_float": 21, "only_int8": 20}, "by either graph than were judged"),
        ({"tune": {"correct": 1001, "total": 1000}}, "1001 correct of 1000"),
        ({"float_tune": {"correct": 0, "total": 0}}, "greater than"),
        ({"max_drop": float("nan")}, "quantization"),
    ],
)
def test_a_smaller_graph_that_lost_more_than_allowed_is_refused(changes: dict[str, Any], message: str) -> None:
    """As are counts that cannot be."""
    with pytest.raises(InvalidBundle, match=message):
        read_manifest(edited("quantization", quantized(**changes)))


@pytest.mark.parametrize("place", ["calibration", "quantization", "quantization_refused"])
def test_the_first_format_has_neither(place: str) -> None:
    """A file that says it is of format 1 and has parts of format 2 is not what it says."""
    value = {"calibration": calibrated(), "quantization": quantized(), "quantization_refused": "too few"}[place]
    content = json.loads(older_manifest(made_up_manifest())) | {"format_version": 1, place: value}

    with pytest.raises(InvalidBundle, match=f"format 1 has no {place}"):
        read_manifest(json.dumps(content).encode())


def several(**changes: Any) -> bytes:
    """The made-up manifest as one of a multi-label model, with other values at its top."""
    content = json.loads(made_up_manifest().to_json())
    low, high = wilson_interval(4, 6)
    per_label = [[[2, 1], [0, 3]], [[4, 0], [1, 1]], [[3, 0], [0, 3]]]
    claim = {"correct": 4, "total": 6, "low": low, "high": high, "per_label": per_label}
    return json.dumps(
        content | {"task": "multi_label", "claim": claim, "thresholds": [0.5, 0.25, 0.75]} | changes
    ).encode()


def test_a_multi_label_manifest_is_read_back() -> None:
    """It says the same after it was written and read; its empty count has its thresholds."""
    manifest = read_manifest(several())
    tally = manifest.new_tally()

    assert read_manifest(manifest.to_json()) == manifest
    assert isinstance(manifest.claim, MultiLabelClaim)
    assert manifest.claim.per_label[1] == ((4, 0), (1, 1))
    assert isinstance(tally, MultiLabelTally)
    assert tally.thresholds == (0.5, 0.25, 0.75)
    assert isinstance(made_up_manifest().new_tally(), Tally)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"thresholds": None}, "expected 3 thresholds"),
        ({"thresholds": [0.5, 0.5]}, "expected 3 thresholds"),
        ({"thresholds": [0.5, 0.5, 1.5]}, "thresholds.2"),
        ({"thresholds": [0.5, 0.1, 0.5]}, r"thresholds\.1: .*float32"),
        ({"task": "single_label"}, "does not fit a single_label model"),
        ({"labels": ["cat", "dog"]}, "2 labels, but the claim has counts for 3"),
        ({"format_version": 1, "validation_digest": None}, "format 1 has no thresholds"),
        ({"claim": json.loads(made_up_manifest().to_json())["claim"]}, "does not fit a multi_label model"),
    ],
)
def test_parts_of_another_task_are_refused(changes: dict[str, Any], message: str) -> None:
    """Task, claim, labels and thresholds go together."""
    with pytest.raises(InvalidBundle, match=message):
        read_manifest(several(**changes))


def test_thresholds_of_a_single_label_model_are_refused() -> None:
    """It answers the most probable class."""
    with pytest.raises(InvalidBundle, match="expected no thresholds"):
        read_manifest(edited("thresholds", [0.5, 0.5, 0.5]))


def test_a_coverage_of_several_labels_is_refused() -> None:
    """Promises are about sets that contain the one truth; a temperature and its errors are welcome."""
    settled = calibrated()

    assert read_manifest(several(calibration=settled | {"coverages": []})).calibration is not None
    for promises in ({}, {"coverages": [], "withheld": [WITHHELD]}):
        with pytest.raises(InvalidBundle, match="for single-label models"):
            read_manifest(several(calibration=settled | promises))


@pytest.mark.parametrize(
    ("per_label", "message"),
    [
        ([[[2, 1], [0, 3]], [[4, 0], [1, 1]]], "the claim has counts for 2"),
        ([[[2, 1], [0, 3]], [[4, 0], [1, 1]], [[3, 0], [0, 4]]], "do not add up"),
        ([[[3, 1], [-1, 3]], [[4, 0], [1, 1]], [[3, 0], [0, 3]]], "claim.per_label.0.1.0"),
        ([[[3, 0], [0, 3]], [[4, 0], [1, 1]], [[3, 0], [0, 3]]], "claimed number of right images"),
        ([[[0, 3], [0, 3]], [[4, 0], [1, 1]], [[3, 0], [0, 3]]], "claimed number of right images"),
        ([[[2, 1, 0], [0, 3]], [[4, 0], [1, 1]], [[3, 0], [0, 3]]], "claim.per_label.0.0"),
        ([], "do not fit|counts for 0"),
    ],
    ids=["labels", "total", "negative", "too few wrong", "too many wrong", "columns", "empty"],
)
def test_the_counts_of_the_labels_must_go_with_the_claim(per_label: list[Any], message: str) -> None:
    """Each label's counts are of all images; a wrong image is wrong in at least one label, and no other is."""
    content = json.loads(several())
    content["claim"]["per_label"] = per_label

    with pytest.raises(InvalidBundle, match=message):
        read_manifest(json.dumps(content).encode())
