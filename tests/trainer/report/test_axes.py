from math import inf, nan

import pytest

from vouch.trainer.report.axes import Panel, Scale, legend, numbers


@pytest.mark.parametrize(
    ("scale", "ticks"),
    [
        (Scale(0, 1), [0, 0.2, 0.4, 0.6, 0.8, 1]),
        (Scale(0.931, 0.972), [0.94, 0.95, 0.96, 0.97]),
        (Scale(-3, 1_200_000), [0, 250_000, 500_000, 750_000, 1_000_000]),
        (Scale(0.02, 30, log=True), [0.1, 1, 10]),
        (Scale(0.3, 0.9, log=True), [0.5]),
    ],
)
def test_ticks_are_round_and_within(scale: Scale, ticks: list[float]) -> None:
    """As many as can be read, each at a round value."""
    assert scale.ticks() == pytest.approx(ticks)


def test_ticks_of_whole_things_are_whole() -> None:
    """There is no epoch 2.5."""
    assert Scale(0, 5).ticks(8, whole=True) == [0, 1, 2, 3, 4, 5]
    assert Scale(0.9, 20.1).ticks(8, whole=True) == [2, 4, 6, 8, 10, 12, 14, 16, 18, 20]


def test_a_scale_holds_its_values() -> None:
    """Those that are no numbers aside; of one value, or of none, there is a scale too."""
    for values in ([3.0, 9.0, nan], [0.5], [0.0], [], [nan, inf]):
        scale = Scale.of(values)
        assert all(0 <= scale.place(value) <= 1 for value in values if value < 1e9)
    assert Scale.of([2.0, 4.0], from_zero=True).place(0) == 0
    assert Scale.of([1.0, 100.0, 0.0], log=True, room=0).place(10) == pytest.approx(0.5)
    assert 0 < Scale.of([7.0], log=True).place(7) < 1


@pytest.mark.parametrize(
    ("values", "percent", "words"),
    [
        ([0.0, 0.25, 0.5], True, ["0%", "25%", "50%"]),
        ([0.985, 0.99], True, ["98.5%", "99.0%"]),
        ([0.0, 1_000_000.0], False, ["0", "1,000,000"]),
        ([-0.5, 0.5], False, ["\N{MINUS SIGN}0.5", "0.5"]),
        ([1e-8, 2e-8], False, ["1e-08", "2e-08"]),
    ],
)
def test_ticks_have_the_digits_that_tell_them_apart(values: list[float], percent: bool, words: list[str]) -> None:
    """All of a scale the same number of them."""
    assert numbers(values, percent) == words


def test_a_line_is_broken_where_there_is_no_number() -> None:
    """And what stands alone between two gaps is a dot."""
    panel = Panel(0, 0, 100, 100, Scale(0, 5), Scale(0, 1))
    drawn = panel.line([0, 1, 2, 3, 4, 5], [0.5, 0.6, nan, 0.2, nan, 1.0], "red")

    assert drawn.count("<polyline") == 1
    assert 'points="0.0,50.0 20.0,40.0"' in drawn
    assert drawn.count("<circle") == 2
    assert Panel(0, 0, 9, 9, Scale(0, 1), Scale(0.1, 1, log=True)).line([0, 1], [0.0, 0.5], "red").count("<circle") == 1


def test_a_legend_takes_as_many_rows_as_it_needs() -> None:
    """Long names stand below each other, and are never markup."""
    one, low = legend(["fit", "tune"], ["red", "blue"], 30)
    two, high = legend(["<i>" + 25 * "x", 28 * "y"], ["red", "blue"], 30)

    assert high > low
    assert one.count("<text") == two.count("<text") == 2
    assert "&lt;i&gt;" in two
