"""Pictures of other proportions are counted, and it is said what was done to them."""

from pathlib import Path

import numpy as np

from tests.sources.test_survey import folder
from vouch.sources.headers import Headers
from vouch.sources.load import load
from vouch.sources.proportions import other_proportions
from vouch.sources.wanted import Wanted


def test_files_of_other_proportions_are_counted(tmp_path: Path) -> None:
    """With what was done to them and what else could be; a pixel that rounding explains does not count."""
    source = load(folder(tmp_path, [(8, 8), (100, 100), (101, 50), (6, 3), (3, 3)]), Wanted(size=(4, 4), fit="crop"))

    assert other_proportions(source, "crop") == (
        "2 of 5 files have other proportions than 4 x 4: cropped to the middle, which keeps 100% of a typical file "
        "(other ways: --fit pad for all with a margin, --fit stretch)",
    )
    assert ": stretched (" in other_proportions(source, "stretch")[0]
    assert ": padded with a margin (" in other_proportions(source, "pad")[0]


def test_nothing_is_said_where_all_fit(tmp_path: Path) -> None:
    """Files of the model's proportions, to the pixel, and arrays."""
    fitting = load(folder(tmp_path, [(30, 20), (6, 4), (32, 21)]), Wanted(size=(12, 8)))
    np.savez(tmp_path / "x.npz", images=np.zeros((2, 3, 9), np.uint8), labels=[0, 1])

    assert other_proportions(fitting, "stretch") == ()
    assert other_proportions(load(str(tmp_path / "x.npz")), "stretch") == ()


def test_of_half_of_the_files_no_more_is_left_by_a_crop() -> None:
    """By their proportions and those of the size, upright or not."""
    headers = Headers({(10, 10): 2, (10, 20): 1, (40, 10): 2}, colour=True)

    assert headers.kept_by_crop((5, 5)) == 0.5
    assert headers.kept_by_crop((4, 1)) == 0.25
