import numpy as np
import pytest

from tests.bundle.made_up import made_up_manifest
from vouch.bundle.calibration import calibration_error
from vouch.bundle.manifest import Calibration, Coverage, Manifest
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


def test_an_error_without_the_temperature_is_counted_however_large_the_drift() -> None:
    """A drift beyond all bands, as a large temperature makes of a small one, leaves the widest of them."""
    assert "error without the temperature is stated as 90.0000%" in refusal(stating(error_before=0.9), drift=0.5)
