import numpy as np
import pytest

from tests.bundle.made_up import made_up_manifest
from vouch.bundle.calibration import CalibrationTally, calibration_error, confidence_and_right
from vouch.bundle.manifest import Manifest
from vouch.bundle.reliability import ByClass, Calibration, Coverage
from vouch.server.model.figures import Figures
from vouch.server.model.session import Outputs

LABELS = np.array([1] * 20)
PROBABILITIES = np.tile(np.array([0.5, 0.48, 0.02], np.float32), (20, 1))
"""Of a model that is unsure: the truth is always a little below the threshold."""
THRESHOLD = 0.49
ERROR = calibration_error(PROBABILITIES, LABELS)


def stating(covered: int = 0, error_before: float = ERROR) -> Manifest:
    """A manifest with these figures; 0 covered and the error as it is are what is counted."""
    coverage = Coverage(promised=0.5, threshold=THRESHOLD, covered=covered, total=20, mean_size=1)
    calibration = Calibration(temperature=1.0, error_before=error_before, error_after=ERROR, coverages=(coverage,))
    return made_up_manifest().model_copy(update={"calibration": calibration})


def refusal(manifest: Manifest, drift: float) -> str:
    figures = Figures(manifest)
    figures.add(LABELS, Outputs(PROBABILITIES, np.log(PROBABILITIES)))
    return figures.refusal(drift, 0)


@pytest.mark.parametrize("drift", [0.0, 5e-3])
def test_a_coverage_is_explained_by_no_more_than_has_drifted(drift: float) -> None:
    """Where the probabilities are the stored ones, labels near the threshold are on the side where they were."""
    assert refusal(stating(), drift) == ""
    assert bool(refusal(stating(covered=20), drift)) is (drift == 0.0)


@pytest.mark.parametrize("drift", [0.0, 5e-3])
def test_a_coverage_is_counted_again_of_each_class(drift: float) -> None:
    """As many in all, but of other classes: no drift explains that, where no probability is near its threshold."""
    probabilities = np.tile(np.array([0.5, 0.3, 0.2], np.float32), (20, 1))
    labels = np.array([0] * 10 + [1] * 10)
    error = calibration_error(probabilities, labels)

    def refused(*covered: int) -> str:
        each = ByClass(thresholds=(0.4, 0.49, 0.6), judged=(30, 30, 30), covered=covered, total=(10, 10, 0))
        coverage = Coverage(promised=0.5, threshold=0.4, covered=10, total=20, mean_size=1, by_class=each)
        stated = Calibration(temperature=1, error_before=error, error_after=error, coverages=(coverage,))
        figures = Figures(made_up_manifest().model_copy(update={"calibration": stated}))
        figures.add(labels, Outputs(probabilities, np.log(probabilities)))
        return figures.refusal(drift, 0)

    assert refused(10, 0, 0) == ""
    assert refused(9, 1, 0).startswith("the coverage of 50.0% among images of ")
    assert refused(9, 1, 0).endswith(" is stated as 9 of 10 and recounted as 10")


def test_the_interval_of_several_labels_is_counted_again() -> None:
    """Their probabilities are not all among the answers, so no other check holds it against anything."""
    labels = np.random.default_rng(0).random((40, 3)) < 0.4
    probabilities = np.where(labels, 0.7, 0.23).astype(np.float32)
    errors = CalibrationTally()
    errors.add(*confidence_and_right(probabilities, labels))

    def refused(interval: tuple[float, float]) -> str:
        stated = Calibration(
            temperature=1, error_before=errors.error, error_after=errors.error, error_interval=interval, coverages=()
        )
        manifest = made_up_manifest().model_copy(update={"calibration": stated, "task": "multi_label"})
        figures = Figures(manifest)
        figures.add(labels, Outputs(probabilities, np.log(probabilities / (1 - probabilities))))
        return figures.refusal(0.0, 0)

    low, high = errors.interval
    assert refused((low, high)) == refused((low + 1e-5, high - 1e-5)) == ""
    assert "the interval of the calibration error is stated as" in refused((errors.error, high))
    assert "the interval of the calibration error is stated as" in refused((low, errors.error))


def test_a_label_at_one_half_may_be_answered_otherwise() -> None:
    """Rounding makes a yes of a no there, which changes the error by as much as one answer."""
    labels = np.zeros((20, 3), np.bool_)
    stated = np.full((20, 3), 0.3, np.float32)
    stated[1, 0] = 0.48
    here = stated.copy()
    stated[0, 0], here[0, 0] = 0.500001, 0.499999
    manifest = made_up_manifest().model_copy(
        update={
            "task": "multi_label",
            "calibration": Calibration(
                temperature=1,
                error_before=calibration_error(stated, labels),
                error_after=calibration_error(stated, labels),
                coverages=(),
            ),
        }
    )
    figures = Figures(manifest)
    figures.add(labels, Outputs(here, np.log(here / (1 - here))))

    assert abs(calibration_error(stated, labels) - calibration_error(here, labels)) > 0.01
    assert figures.refusal(1e-5, 0) == ""


def test_an_error_without_the_temperature_is_counted_however_large_the_drift() -> None:
    """A drift beyond all bands, as a large temperature makes of a small one, leaves the widest of them."""
    assert "error without the temperature is stated as 90.0000%" in refusal(stating(error_before=0.9), drift=0.5)
