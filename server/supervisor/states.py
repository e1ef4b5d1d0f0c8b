"""The states of a worker process, as a table: which follow which, and how long each may last."""

from dataclasses import dataclass
from enum import Enum


class State(Enum):
    """Of a worker process."""

    STARTING = "starting"
    """It is launched, and loads what it is to serve. Nobody can reach it."""
    READY = "ready"
    """It takes calls."""
    DRAINING = "draining"
    """It takes no more calls, answers those that it has, and ends; or it is not heard any more."""
    GONE = "gone"
    """Its process has ended."""


NEXT = {
    State.STARTING: (State.READY, State.DRAINING, State.GONE),
    State.READY: (State.DRAINING, State.GONE),
    State.DRAINING: (State.GONE,),
    State.GONE: (),
}
"""State -> those that may follow it."""


@dataclass(frozen=True)
class Limits:
    """Seconds that a worker may stay in a state. Then it is killed, whatever it does."""

    start_s: float = 60.0
    """Starting: from its launch to its first word, and from what it has loaded to its taking calls."""
    load_s: float = 600.0
    """Starting and ready: for each version that it loads."""
    silent_s: float = 10.0
    """Ready: without a sign of life, where it does not work either."""
    measured_s: float = 2.0
    """After that: in which it is watched whether it works."""
    busy_s: float = 120.0
    """Ready: without a sign of life, though it works: it comes to no end."""
    drain_s: float = 30.0
    """Draining: for the calls that it has."""
    close_s: float = 6.0
    """Draining: beyond that, for what has to be closed."""
    end_s: float = 10.0
    """Gone: for the end of a process that was killed to be noticed; a busy machine takes its time."""
    heard_s: float = 1.0
    """For its end to be noticed when its channel is closed, so that the log can say how it ended."""
    count_s: float = 1.0
    """To say what it has counted; one that does not counts with what it said last."""
    look_s: float = 1.0
    """How often it is looked at."""
