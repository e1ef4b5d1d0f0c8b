import json
from pathlib import Path
from xml.etree import ElementTree

import pytest

from benchmarks.growth.curves import CURVES
from benchmarks.growth.drawn import draw
from benchmarks.growth.exponents import LEAST, UPPER, growth, table
from benchmarks.growth.plot import plot
from benchmarks.growth.record import Point, Record, writing
from vouch.sources.load import load

SHARED = {"commit": "abc", "machine": "a machine"}


def point(size: int, curve: str = "images", **figures: float) -> Point:
    return {"curve": curve, "size": size, **SHARED, "figures": figures}


def recorded(path: Path, *points: Point) -> Record:
    with writing(path) as record:
        for one in points:
            record.keep(one)
    return record


def test_an_exponent_is_the_slope_of_the_upper_points() -> None:
    """What a command costs alone, below a tenth of the largest size, is not in it."""
    sizes = (10, 100, 1000, 2000, 10_000)
    squares = [point(size, processor_s=1e-6 * size**2 + (7 if size < 1000 else 0)) for size in sizes]

    assert growth(squares, "processor_s").exponent == pytest.approx(2)
    assert growth(squares, "processor_s").sizes == sizes


def test_two_points_have_no_exponent() -> None:
    """Nor has a figure that nobody measured."""
    assert growth([point(10, seconds=1.0), point(20, seconds=2.0)], "seconds").exponent is None
    assert growth([point(10, seconds=1.0)], "memory_mb").sizes == ()


@pytest.mark.parametrize("sizes", [*(one.sizes for one in CURVES), *(one.quick for one in CURVES if one.quick)])
def test_every_curve_has_enough_upper_points(sizes: tuple[int, ...]) -> None:
    """Else its exponent would not be told."""
    assert list(sizes) == sorted(sizes)
    assert sum(UPPER * size >= sizes[-1] for size in sizes) >= LEAST


def test_a_point_is_measured_once(tmp_path: Path) -> None:
    """And again where the code is another, or where it failed; the newer one takes the older one's place."""
    path = tmp_path / "growth.json"
    asked = {"curve": "images", "size": 10, **SHARED}

    recorded(path, {**asked, "failed": "it took too long"})
    assert not Record(path).has(asked)
    recorded(path, point(10, seconds=1.0), point(5, seconds=0.5))

    assert Record(path).has(asked)
    assert not Record(path).has({**asked, "commit": "another"})
    assert [one["size"] for one in json.loads(path.read_text())["points"]] == [5, 10]


def test_the_table_says_what_failed(tmp_path: Path) -> None:
    """Beside what was measured, with the exponent and how many points it rests on."""
    points = [point(size, processor_s=2.0 * size) for size in (1000, 2000, 4000)]
    told = table(recorded(tmp_path / "growth.json", *points, {"curve": "models", "size": 5, **SHARED, "failed": "why"}))

    assert "| 1,000 | 4,000 | processor s | 2,000 | 8,000 | 1.00 (3) |" in told
    assert "models at 5: why" in told


def test_the_plot_holds_its_words_as_text_and_no_fonts(tmp_path: Path) -> None:
    """So it is small, and as wide as a page."""
    drawn = plot(recorded(tmp_path / "growth.json", *(point(size, processor_s=size) for size in (1000, 2000, 9000))))

    assert len(drawn) < 200_000
    assert "@font-face" not in drawn
    root = ElementTree.fromstring(drawn)  # we have drawn it
    assert root.attrib["width"] == "900pt"
    words = {"".join(text.itertext()) for text in root.iter("{http://www.w3.org/2000/svg}text")}
    assert {*(curve.title for curve in CURVES), "processor s: 1.00"} <= words


def test_images_that_are_drawn_can_be_loaded(tmp_path: Path) -> None:
    """Every class is in both splits, however few images are asked for."""
    draw(tmp_path / "drawn.npz", 10, 16, 7, 3)

    splits = load(str(tmp_path / "drawn.npz")).splits

    assert {name: len(split) for name, split in splits.items()} == {"fit": 14, "validation": 7}
    assert {len({*split.labels}) for split in splits.values()} == {7}
    assert splits["fit"].images.shape == (14, 16, 16)
