"""The figures of a load, and whether they are valid."""

import sys
from dataclasses import dataclass

from benchmarks.serving.forms import EXACT
from benchmarks.serving.h2load import Loaded
from benchmarks.serving.questions import Sampled


@dataclass(frozen=True)
class Row:
    """One load on one server."""

    kind: str
    contender: str
    batch: int
    round: int
    load: str
    """saturated; or on a core of its own: most, kept up, idle, or the share of what is kept up."""
    calls_a_second: float
    problems: str = ""
    """Why it is no result; empty where it is one."""
    cpu_s_per_million_images: float = 0.0
    idle_mb: float = 0.0
    """Proportional set size of all its processes, before any load."""
    largest_mb: float = 0.0
    """Of the largest of them."""
    memory_mb: float = 0.0
    """Of all, after the load."""
    first_answer_s: float = 0.0
    starts: int = 1
    """That it took: more than one where the server ended by itself under a load."""
    sampled: int = 0
    p50_ms: float | None = None
    p99_ms: float | None = None
    p999_ms: float | None = None
    late_p99_ms: float = 0.0
    """How late the generator of an open loop was by itself, which is in the latencies."""


@dataclass(frozen=True)
class StreamRow:
    """One load of unary calls or of streams."""

    contender: str
    way: str
    round: int
    answers_a_second: float
    problems: str = ""


@dataclass(frozen=True)
class PhotoRow:
    """One load of photographs."""

    contender: str
    round: int
    file_kb: int
    """Of a file, on average; 1,000 bytes."""
    images_a_second: float
    cpu_s_per_thousand_images: float = 0.0
    problems: str = ""


def problems(loaded: Loaded, sampled: Sampled, varies: float = EXACT) -> str:
    """Why this is no result; empty where it is one.

    Args:
        varies: by how much of their size answers may differ.
    """
    found = []
    if loaded.failed:
        found.append(f"{loaded.failed} calls failed")
    if sampled.wrong or sampled.failures:
        kinds = sorted(set(sampled.failures))
        found.append(f"{sampled.wrong} wrong answers, {len(sampled.failures)} failed ones {kinds}")
    if loaded.calls and not sampled.right:
        found.append("no answer was seen to be right")
    expected = loaded.calls * sampled.frame_bytes
    least, most = (1 - varies) * expected, (1 + varies) * expected + loaded.unfinished * sampled.frame_bytes
    if not least <= loaded.data_bytes <= most:
        mean = loaded.data_bytes / max(1, loaded.calls)
        found.append(f"answers of {mean:,.0f} bytes, expected {sampled.frame_bytes:,}")
    return "; ".join(found)


def say(text: str) -> None:
    """A line of progress."""
    print(text, file=sys.stderr, flush=True)
