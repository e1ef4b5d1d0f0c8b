import logging

import pytest

from vouch.server.logs import Bounded
from vouch.server.repeats import EVERY_S, MAX_KINDS, Repeats


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_kind_is_written_at_once_and_then_once_in_a_while() -> None:
    """With the number of those that were left out between; another kind does not wait for it."""
    clock = Clock()
    repeats = Repeats(clock)
    first = repeats.note("a")
    others = [repeats.note("a") for _ in range(1000)]
    another = repeats.note("b")
    clock.now += EVERY_S
    later, at_last = repeats.note("a"), repeats.note("a")

    assert (first.written, first.left_out_in_words) == (True, "")
    assert not any(one.written for one in others)
    assert another.written
    assert (later.written, later.left_out_in_words) == (True, "; 1,000 similar messages were left out")
    assert not at_last.written


def test_what_is_left_out_has_the_id_of_what_was_written() -> None:
    """Whoever is told an id finds it in the log."""
    clock = Clock()
    repeats = Repeats(clock)
    first, same = repeats.note("a"), repeats.note("a")
    clock.now += EVERY_S
    later, same_as_later = repeats.note("a"), repeats.note("a")

    assert first.error_id == same.error_id
    assert later.error_id == same_as_later.error_id != first.error_id


def test_kinds_without_end_take_no_memory_without_end() -> None:
    repeats = Repeats(Clock())
    for kind in range(10 * MAX_KINDS):
        repeats.note(kind)

    assert len(repeats._kinds) <= MAX_KINDS


def test_a_library_repeats_itself_at_a_bounded_rate_and_we_bound_our_own(caplog: pytest.LogCaptureFixture) -> None:
    caplog.handler.addFilter(bounded := Bounded())
    with caplog.at_level(logging.WARNING):
        for call in range(100):
            logging.getLogger("asyncio").error("Task exception was never retrieved\nfuture: <Task %d>", call)
            logging.getLogger("asyncio").error("Another thing of %d", call)
        for version in range(100):
            logging.getLogger("vouch.server").error("%d is refused", version)
    caplog.handler.removeFilter(bounded)

    names = [record.name for record in caplog.records]
    assert (names.count("asyncio"), names.count("vouch.server")) == (2, 100)
