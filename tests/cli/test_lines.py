import pytest

from vouch.cli.lines import ProgressLines, duration


class Work:
    """Made-up time, and what is said as it passes."""

    def __init__(self, total: int | None) -> None:
        self.now = 100.0
        self.said: list[str] = []
        self.lines = ProgressLines("counting sheep", total, lambda: self.now)

    def done(self, seconds: float, count: int) -> list[str]:
        """What is said when so many are done so long after the beginning."""
        self.now, before = 100.0 + seconds, len(self.said)
        self.lines.tell(count, self.said.append)
        return self.said[before:]


def test_how_long_it_takes_is_said_once_it_can_be_known() -> None:
    """After two seconds, once; then a line every ten seconds, with what is left."""
    work = Work(1000)

    assert work.done(0.0, 0) == work.done(1.0, 20) == []
    assert work.done(2.0, 50) == ["counting sheep: about 40 s on this machine"]
    assert work.done(9.0, 225) == []
    assert work.done(10.0, 250) == ["counting sheep: 250 of 1,000, about 30 s left"]
    assert work.done(11.0, 300) == []
    assert work.done(20.0, 500) == ["counting sheep: 500 of 1,000, about 20 s left"]


def test_what_is_soon_done_is_not_spoken_of() -> None:
    """Nor is there a line of it."""
    work = Work(100)

    assert [work.done(second, 20 * second) for second in range(6)] == [[]] * 6


def test_resumed_work_is_measured_from_where_it_began_here() -> None:
    """What an earlier process did took this one no time."""
    work = Work(1000)
    work.done(0.0, 500)

    assert work.done(5.0, 550) == ["counting sheep: about 50 s on this machine"]


def test_work_that_begins_again_is_measured_from_there() -> None:
    """What was done before says nothing of how much is left."""
    work = Work(1000)
    work.done(0.0, 0)
    work.done(30.0, 900)

    assert work.done(31.0, 0) == []
    assert work.done(36.0, 50) == ["counting sheep: about 2 min on this machine"]


def test_work_without_an_end_has_no_estimate() -> None:
    """Only how much is done; and where nothing is done yet, how much there is."""
    assert [Work(None).done(second, 7) for second in (0.0, 5.0)] == [[], []]
    work, waiting = Work(None), Work(10)
    work.done(0.0, 0)
    waiting.done(0.0, 0)

    assert work.done(12.0, 1234) == ["counting sheep: 1,234"]
    assert waiting.done(12.0, 0) == ["counting sheep: 0 of 10"]


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.2, "1 s"), (40.4, "40 s"), (100, "2 min"), (5000, "83 min"), (9000, "2.5 h")]
)
def test_durations_have_the_unit_that_fits(seconds: float, words: str) -> None:
    """Seconds, minutes or hours."""
    assert duration(seconds) == words


def test_work_that_has_become_less_is_sooner_done() -> None:
    """What is left is reckoned from how many there are now."""
    work = Work(1000)
    work.done(0.0, 0)
    work.done(2.0, 50)
    work.lines.of(500)

    assert work.done(10.0, 250) == ["counting sheep: 250 of 500, about 10 s left"]
