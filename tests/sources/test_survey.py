"""What files become is decided from their headers, before a pixel is decoded."""

from collections.abc import Sequence
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from PIL import Image

from vouch.bundle.pixel_settings import Fit, PixelSettings
from vouch.bundle.pixels import decode
from vouch.sources import decoding
from vouch.sources.errors import SourceError
from vouch.sources.headers import Headers
from vouch.sources.load import load, load_as
from vouch.sources.survey import Survey
from vouch.sources.wanted import Wanted


def folder(at: Path, sizes: list[tuple[int, int]], mode: str = "L") -> str:
    """Files of these heights and widths, in their order, half of them in each class."""
    for row, (height, width) in enumerate(sizes):
        file = at / "ab"[row >= len(sizes) // 2] / f"{row:03}.png"
        file.parent.mkdir(exist_ok=True)
        Image.new(mode, (width, height), row).save(file)
    return str(at)


class Deciding:
    """Small images of one size as they are, all others in one size; remembers what it was told."""

    def __init__(self) -> None:
        self.told: list[Survey] = []

    def __call__(self, survey: Survey) -> Wanted:
        self.told.append(survey)
        small = survey.one_size and max(survey.sides) <= 8
        return Wanted() if small else Wanted(size=(6, 6))


def test_files_are_surveyed_before_any_is_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever decides knows their sizes, their colour and how many there are, and may refuse them all."""
    spec = folder(tmp_path, [(4, 10), (6, 30), (8, 20)], "RGB")
    monkeypatch.setattr(decoding, "look_and_decode", None)

    def refuse(survey: Survey) -> Wanted:
        assert (survey.sides, survey.shape, survey.images) == ((6, 20), (6, 20, 3), 3)
        assert survey.colour
        assert not survey.one_size
        assert survey.as_wanted(Wanted(size=(5, 4), channels=1)).shape == (5, 4)
        raise SourceError("of no use")

    with pytest.raises(SourceError, match="of no use"):
        load(spec, decide=refuse)


def test_what_is_decided_is_done(tmp_path: Path) -> None:
    """Files of several sizes are read where the decision gives them one, whatever was asked for beside it."""
    source = load(folder(tmp_path, [(4, 10), (6, 30)]), Wanted(channels=3), decide=Deciding())

    assert source.splits["all"].images.shape == (2, 6, 6)
    assert source.headers == Headers({(4, 10): 1, (6, 30): 1}, colour=False)


def test_a_file_that_decides_otherwise_is_met_late(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All are read again, in the size that suits them all, and what was decoded before is not waited for."""
    read: list[Path] = []
    read_batch = decoding.read_batch

    def counted(paths: Sequence[Path], settings: PixelSettings) -> list[decoding.Outcome]:
        read.extend(paths)
        return read_batch(paths, settings)

    monkeypatch.setattr(decoding, "read_batch", counted)
    sizes = [(4, 4)] * 100
    sizes[5] = (4, 5)  # between those that are looked at first
    decide = Deciding()

    images = load(folder(tmp_path, sizes), decide=decide).splits["all"].images[:]

    assert images.shape == (100, 6, 6)
    np.testing.assert_array_equal(images[:, 0, 0], np.arange(100))
    assert len(read) == 6 + 100
    assert [survey.one_size for survey in decide.told].count(True) == 2  # asked, and asked again for the first pass


def test_the_last_decision_knows_all_files(tmp_path: Path) -> None:
    """A few were typical of size, most turn out otherwise: the medians of all decide in the end."""
    sizes = [(4, 4) if row % 4 == 0 else (20, 30) for row in range(100)]  # every fourth is looked at first
    decide = Deciding()

    source = load(folder(tmp_path, sizes), decide=decide)

    assert decide.told[0].sides == (4, 4)
    assert decide.told[-1].sides == (20, 30)
    assert Survey.of(source).sides == (20, 30)
    assert Survey.of(source).shape == (6, 6)


def test_without_a_decision_sizes_that_differ_are_an_error(tmp_path: Path) -> None:
    """Nothing says which is right; neither does a decision that gives none."""
    spec = folder(tmp_path, [(4, 10), (6, 30)])

    for decide in (None, lambda survey: Wanted()):
        with pytest.raises(SourceError, match=r"differ in size \(4x10, 6x30\)"):
            load(spec, decide=decide)


def test_arrays_stay_as_they_are(tmp_path: Path) -> None:
    """They are surveyed when they are read, and no decision changes them."""
    path = tmp_path / "x.npz"
    np.savez(path, images=np.zeros((4, 10, 12, 3), np.uint8), labels=np.array([0, 1, 0, 1]))
    decide = Deciding()

    assert load(str(path), decide=decide).splits["all"].images.shape == (4, 10, 12, 3)
    (survey,) = decide.told
    assert (survey.sides, survey.colour, survey.one_size) == ((10, 12), True, True)
    assert survey.as_wanted(Wanted(size=(6, 6))) == survey


@pytest.mark.parametrize("fit", get_args(Fit))
def test_files_are_read_as_a_model_takes_them(tmp_path: Path, fit: Fit) -> None:
    """Whatever suits them: as the server would decode them."""
    spec = folder(tmp_path, [(4, 10), (6, 3)], "RGB")
    pixels = PixelSettings(height=5, width=4, channels=3, fit=fit)

    found = load_as(spec, pixels).splits["all"].images

    for row, path in enumerate(sorted(tmp_path.rglob("*.png"))):
        np.testing.assert_array_equal(found[row], decode(path.read_bytes(), pixels))
