"""The states of a worker process, as a table: which follow which, and how long each may last."""

from dataclasses import dataclass
from enum import Enum


class State(Enum):
    """State of a worker process."""

    STARTING = "starting"
    """It was launched and loads the line-up. It does not listen yet."""
    READY = "ready"
    """It takes calls."""
    DRAINING = "draining"
    """It takes no new calls, finishes those it has, and ends; or its channel is closed."""
    GONE = "gone"
    """Its process has ended."""


NEXT = {
    State.STARTING: (State.READY, State.DRAINING, State.GONE),
    State.READY: (State.DRAINING, State.GONE),
    State.DRAINING: (State.GONE,),
    State.GONE: (),
}
"""State -> the states that may follow it."""


@dataclass(frozen=True)
class Limits:
    """Seconds that a worker may stay in a state. Then it is killed, whatever it does."""

    start_s: float = 60.0
    """Starting: from launch to the first message, and from the last loaded version to ready."""
    load_s: float = 600.0
    """Starting and ready: for each version to load."""
    silent_s: float = 10.0
    """Ready: without a heartbeat, while it uses no processor time."""
    measured_s: float = 2.0
    """After that: how long its processor time is measured."""
    busy_s: float = 120.0
    """Ready: without a heartbeat, while it uses processor time."""
    drain_s: float = 30.0
    """Draining: for the calls in progress."""
    close_s: float = 6.0
    """Draining: in addition, for closing everything."""
    end_s: float = 10.0
    """Gone: until the end of a killed process is noticed; a busy machine can be slow."""
    heard_s: float = 1.0
    """From the closing of its channel until its end is noticed, so that the log can state its exit code."""
    count_s: float = 1.0
    """To report its counts; after that, the last reported counts are used."""
    look_s: float = 1.0
    """How often it is checked."""
