"""One graph in two sessions: which of them a run has."""

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from vouch.server.model.session import Outputs, Session
from vouch.server.model.sessions import Sessions

WITHIN_S = 10


class Held(Session):
    """Says who answered by its number; a run waits until it is let go, if it is to."""

    def __init__(self, number: int, waits: bool = False) -> None:
        self.number = number
        self.entered, self.go = threading.Event(), threading.Event()
        if not waits:
            self.go.set()

    def run(self, parts: Sequence[np.ndarray]) -> Outputs:
        self.entered.set()
        assert self.go.wait(WITHIN_S)
        if not parts:
            raise ValueError("no images")
        return Outputs(np.full(1, self.number), np.empty(0))


IMAGES = [np.zeros((1, 2, 2), np.uint8)]


def who(outputs: Outputs) -> int:
    return int(outputs.probabilities[0])


def test_a_run_beside_another_has_the_session_for_that() -> None:
    """And the next that is alone has all threads again."""
    alone, beside = Held(1, waits=True), Held(2)
    sessions = Sessions(alone, beside)
    with ThreadPoolExecutor(1) as executor:
        first = executor.submit(sessions.run, IMAGES)
        try:
            assert alone.entered.wait(WITHIN_S)
            assert [who(sessions.run(IMAGES)) for _ in range(2)] == [2, 2]
        finally:
            alone.go.set()
        assert who(first.result(WITHIN_S)) == 1
    assert who(sessions.run(IMAGES)) == 1


def test_a_run_that_fails_is_over() -> None:
    """It does not count as one that is at work for ever."""
    sessions = Sessions(Held(1), Held(2))
    with pytest.raises(ValueError, match="no images"):
        sessions.run([])
    assert who(sessions.run(IMAGES)) == 1


def test_what_is_counted_comes_from_both() -> None:
    """Either may answer a caller, so neither is left out of a recount."""
    sessions = Sessions(Held(1), Held(2))
    assert [who(sessions.run_in_turn(IMAGES)) for _ in range(4)] == [1, 2, 1, 2]
