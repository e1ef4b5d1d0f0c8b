import re
from dataclasses import replace
from xml.etree import ElementTree

from tests.client.bench.made_up import closed, measured_of, opened
from vouch.client.bench.plot import plot
from vouch.client.bench.points import ClosedPoint, Measured, OpenPoint

POINTS: list[ClosedPoint | OpenPoint] = [
    closed(1, 1),
    closed(1, 2, calls=1500),
    closed(128, 1),
    closed(128, 2, calls=1900),
    opened(1, 0.5),
    opened(1, 0.9, p99_s=0.04),
    opened(128, 0.5, p99_s=0.1),
    opened(128, 0.9, p99_s=None),
]


SVG = "{http://www.w3.org/2000/svg}"


def texts(svg: str) -> list[str]:
    return ["".join(found.itertext()) for found in ElementTree.fromstring(svg).iter(f"{SVG}text")]


def drawn(measured: Measured) -> int:
    """Points with a marker; those of the axes are not within the frame that cuts off what is outside."""
    groups = ElementTree.fromstring(plot(measured)).iter(f"{SVG}g")
    return sum(len(group.findall(f"{SVG}use")) for group in groups if "clip-path" in group.attrib)


def test_both_panels_have_labelled_axes_with_units() -> None:
    """Text stays text; each batch size is in the legend and on the axis."""
    words = texts(plot(measured_of(*POINTS)))

    for expected in (
        *("tiny version 1", "Throughput", "images per call", "images per second"),
        *("Latency of calls at random times", "latency in ms", "load, as a share of the highest throughput"),
        *("1 per call", "128 per call", "99th percentile", "median", "one call at a time", "128"),
    ):
        assert expected in words


def test_the_picture_is_black_and_white() -> None:
    """No line is told from another by its hue."""
    colours = set(re.findall(r"#[0-9a-f]{6}", plot(measured_of(*POINTS))))

    assert len(colours) > 1
    assert all(colour[1:3] == colour[3:5] == colour[5:7] for colour in colours)


def test_the_same_numbers_give_the_same_bytes() -> None:
    """No date, no random ids."""
    assert plot(measured_of(*POINTS)) == plot(measured_of(*POINTS))


def test_rows_that_are_no_result_are_not_drawn() -> None:
    """What was sent late leaves a gap."""
    late = opened(1, 0.9, lateness_s=0.02)

    throughputs = 2 * 2  # two batch sizes, with one call and with the best number of calls at once
    assert drawn(measured_of(*POINTS[:5])) == throughputs + 2
    assert drawn(measured_of(*POINTS[:5], late)) == throughputs + 2
    assert drawn(measured_of(*POINTS[:6])) == throughputs + 4


def test_what_an_interruption_leaves_is_drawn() -> None:
    """One point, or points that nobody was answered at; a name is no formula."""
    unanswered = closed(1, 1, errors={"DEADLINE_EXCEEDED": 1000}, p50_s=None, p99_s=None)
    measured = measured_of(unanswered)
    measured.model = replace(measured.model, name="$x$")

    assert "$x$ version 1" in texts(plot(measured))
