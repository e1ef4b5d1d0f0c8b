import re
from math import nan
from xml.etree import ElementTree

import numpy as np
import pytest

from vouch.trainer.report.figures import course_figure, curves_figure, learning_figure, rate_figure, reliability_figure
from vouch.trainer.report.outcome import reliability

LINES = [("fit", [nan, 0.5, 0.7]), ("tune", [0.1, 0.6, 0.8])]
STEPS = [(number, 0.01 * number, 1.0) for number in range(1, 50)]
CERTAINTY = reliability(np.arange(20) % 3, np.random.default_rng(0).dirichlet(np.ones(3), 20))


def drawn() -> dict[str, str]:
    """Every kind of figure."""
    return {
        "curves": curves_figure([0, 1, 2], LINES, percent=True),
        "losses": curves_figure([0, 1, 2], [("fit", [nan, 9.0, 0.1]), ("tune", [9.0, 1.0, 0.1])], False),
        "speed": curves_figure([1, 2], [("images", [3.0, 4.0])], percent=False),
        "learning": learning_figure((50, 100, 200), (0.9, 0.95, 0.96)),
        "rate": rate_figure(STEPS),
        "course": course_figure([0.1, 0.5, 0.99]),
        "certainty": reliability_figure(CERTAINTY),
    }


@pytest.fixture(scope="module")
def figures() -> dict[str, str]:
    return drawn()


def test_a_figure_is_an_svg_that_scales(figures: dict[str, str]) -> None:
    """Well-formed, with a view box and without a size of its own, so that the page decides."""
    for svg in figures.values():
        root = ElementTree.fromstring(svg)

        assert root.tag.endswith("svg")
        assert "viewBox" in root.attrib
        assert "width" not in root.attrib


def test_colours_are_the_pages(figures: dict[str, str]) -> None:
    """No colour of its own remains, so that a figure is right in the light and in the dark."""
    for svg in figures.values():
        assert not re.search(r"#[0-9a-f]{6}", svg)
        assert set(re.findall(r"var\((--[a-z0-9-]+)\)", svg)) <= {
            "--ink",
            "--line",
            *(f"--series-{number}" for number in range(1, 9)),
        }


def test_text_stays_text(figures: dict[str, str]) -> None:
    """It can be searched and read aloud, in the page's own font."""
    assert ">tune</text>" in figures["curves"]
    assert "font-family" not in "".join(figures.values())


def test_the_same_numbers_give_the_same_bytes(figures: dict[str, str]) -> None:
    """No date and no chance is in a figure."""
    assert drawn() == figures


def test_little_can_be_drawn_too() -> None:
    """A run of one step and no finished epoch, and a model that was always certain."""
    assert "<svg" in rate_figure(STEPS[:1])
    assert "<svg" in rate_figure([])
    assert "<svg" in curves_figure([], [("images", [])], percent=False)
    assert "<svg" in curves_figure([0], [("fit", [nan]), ("tune", [0.0])], percent=False)
    assert "<svg" in curves_figure([0, 1], [("fit", [1.0, 1.0]), ("<b>", [1.0, 1.0])], percent=True)
    assert "<svg" in learning_figure((50, 100), (1.0, 1.0))
    assert "<svg" in reliability_figure(reliability(np.array([0]), np.array([[1.0, 0.0]])))
