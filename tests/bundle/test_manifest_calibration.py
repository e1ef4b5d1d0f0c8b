from typing import Any

import numpy as np
import pytest

from tests.bundle.made_up import LABELS, made_up_manifest
from tests.support.manifests import WITHHELD, calibrated, edited
from vouch.bundle.claims import Claim
from vouch.bundle.errors import InvalidBundle
from vouch.bundle.manifest import read_manifest


@pytest.mark.parametrize("temperature", [0, -1, 1e308, float("inf"), float("nan")])
def test_a_temperature_that_nobody_fits_is_refused(temperature: float) -> None:
    """Scores without it would be infinite, and no figure could be counted again."""
    with pytest.raises(InvalidBundle, match=r"calibration\.temperature"):
        read_manifest(edited("calibration", calibrated() | {"temperature": temperature}))


@pytest.mark.parametrize("interval", [(0.02, 0.03), (0.0, 0.005), (-0.1, 0.1), (0.0, 1.1), (float("nan"), 0.1)])
def test_an_interval_holds_the_error(interval: tuple[float, float]) -> None:
    """And lies within 0 to 1; where none is stated, as in older bundles, there is none."""
    with pytest.raises(InvalidBundle, match="the calibration error is not within its interval"):
        read_manifest(edited("calibration", calibrated() | {"error_interval": interval}))
    older = read_manifest(edited("calibration", calibrated())).calibration
    assert older is not None
    assert older.error_interval is None


def test_calibration_is_read_back() -> None:
    """What is promised, and what was kept of it, says the same after it was written and read."""
    manifest = read_manifest(edited("calibration", calibrated()))
    assert manifest.calibration is not None

    assert read_manifest(manifest.to_json()) == manifest
    assert [one.promised for one in manifest.calibration.coverages] == [0.9, 0.99]
    assert manifest.calibration.coverages[0].counted.accuracy == 1


def by_class(**changes: Any) -> dict[str, Any]:
    """A calibration by class that fits the made-up manifest, with other values in what concerns the classes."""
    claim = made_up_manifest().claim
    assert isinstance(claim, Claim)
    total = [one.total for one in claim.per_class(len(LABELS))]
    each = {"thresholds": [0.1, 0.2, 0.3], "judged": [30, 40, 50], "covered": total, "total": total} | changes
    settled = calibrated(threshold=0.1, by_class=each)
    return settled | {"coverages": settled["coverages"][:1], "method": "split", "judged": 120}


def test_a_coverage_by_class_is_read_back() -> None:
    """Thresholds and counts of each class; as JSON too."""
    manifest = read_manifest(edited("calibration", by_class()))
    assert manifest.calibration is not None
    (coverage,) = manifest.calibration.coverages

    assert read_manifest(manifest.to_json()) == manifest
    assert coverage.kept
    assert list(np.atleast_1d(coverage.thresholds)) == [0.1, 0.2, 0.3]
    assert manifest.calibration.as_json()["coverages"][0]["by_class"]["judged"] == (30, 40, 50)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"thresholds": [0.1, 0.2]}, "expected thresholds and counts of each class"),
        ({"thresholds": [0.1, 0.2, 1.5]}, "less than or equal to 1"),
        ({"thresholds": [0.2, 0.2, 0.3]}, "the threshold is not the lowest"),
        ({"judged": [30]}, "expected thresholds and counts of each class"),
        ({"covered": [3, 1, 2]}, "covered <= total"),
        ({"covered": [1, 2, 1]}, "do not add up"),
        ({"total": [3, 3, 2]}, "do not add up"),
        ({"total": [3, 1, 2], "covered": [3, 1, 2]}, "by class was not counted on the claim's images"),
    ],
)
def test_a_coverage_by_class_that_contradicts_itself_is_refused(changes: dict[str, Any], message: str) -> None:
    """Columns of equal length that add up to all images, which are those of the claim."""
    with pytest.raises(InvalidBundle, match=message):
        read_manifest(edited("calibration", by_class(**changes)))


def test_a_coverage_withheld_for_an_unknown_class_is_refused() -> None:
    """Its name would be shown to people."""
    settled = by_class() | {"withheld": [WITHHELD | {"smallest": "nobody"}]}
    with pytest.raises(InvalidBundle, match="withheld for an unknown class"):
        read_manifest(edited("calibration", settled))


@pytest.mark.parametrize(
    "basis",
    [
        {"method": "split", "judged": 30, "withheld": [WITHHELD]},
        {"method": "cross", "judged": 30, "folds": 5},
        {"method": "cross", "judged": 0, "folds": 1},
    ],
    ids=["split", "cross", "nobody"],
)
def test_what_promises_rest_on_is_read_back(basis: dict[str, Any]) -> None:
    """The method, the number of images, and what they were too few for; older bundles have none of it."""
    manifest = read_manifest(edited("calibration", calibrated() | basis))
    older = read_manifest(edited("calibration", calibrated())).calibration
    assert manifest.calibration is not None
    assert older is not None

    assert read_manifest(manifest.to_json()) == manifest
    assert manifest.calibration.as_json()["judged"] == basis["judged"]
    assert (older.method, older.judged, older.folds, older.withheld) == (None, None, None, ())


@pytest.mark.parametrize(
    ("basis", "message"),
    [
        ({"method": "split"}, "expected a method with the number of images that judged"),
        ({"judged": 30}, "expected a method with the number of images that judged"),
        ({"method": "cross", "judged": 30}, "for cross of folds"),
        ({"method": "split", "judged": 30, "folds": 5}, "for cross of folds"),
        ({"withheld": [WITHHELD | {"coverage": 0.9}]}, "or are promised too"),
        ({"withheld": [WITHHELD, WITHHELD]}, "do not rise"),
    ],
)
def test_a_basis_that_contradicts_itself_is_refused(basis: dict[str, Any], message: str) -> None:
    """Method, images and folds go together, and nothing is promised and withheld."""
    with pytest.raises(InvalidBundle, match=message):
        read_manifest(edited("calibration", calibrated() | basis))


@pytest.mark.parametrize(
    "changes",
    [
        {"promised": 1.0},
        {"promised": 0.99},
        {"promised": 0.995},
        {"threshold": 1.5},
        {"covered": 100},
        {"total": 100},
        {"mean_size": 0.5},
        {"mean_size": 3.5},
    ],
)
def test_a_promise_that_cannot_be_is_refused(changes: dict[str, float]) -> None:
    """Promises that do not rise, counts that do not fit the claim's images, sets larger than all labels."""
    with pytest.raises(InvalidBundle):
        read_manifest(edited("calibration", calibrated(**changes)))
