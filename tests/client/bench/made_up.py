"""Points that nobody measured."""

from typing import Any

from tests.support.tiny import LABELS, SIDE
from vouch.bundle.accuracy import Accuracy
from vouch.client.bench.load import Load
from vouch.client.bench.points import ClosedPoint, Measured, OpenPoint
from vouch.client.models import ModelVersion

TINY = ModelVersion(
    *("tiny", 1, "live", "0" * 64, LABELS, (SIDE, SIDE)), Accuracy(correct=9, total=10), Accuracy(correct=9, total=10)
)


def load_of(**changed: Any) -> Load:
    """A thousand right answers in a second, half of them within 2 ms and nearly all within 4."""
    usual: dict[str, Any] = {
        "calls": 1000,
        "wrong": 0,
        "errors": {},
        "seconds": 1.0,
        "lateness_s": 0.0,
        "busy": 0.25,
        "p50_s": 2e-3,
        "p99_s": 4e-3,
        "p999_s": 8e-3,
    }
    return Load(**(usual | changed))


def closed(batch_size: int, concurrency: int, **changed: Any) -> ClosedPoint:
    return ClosedPoint(batch_size, concurrency, load_of(**changed))


def opened(batch_size: int, share: float, **changed: Any) -> OpenPoint:
    return OpenPoint(batch_size, share, 1000 * share, load_of(**changed))


def measured_of(*points: ClosedPoint | OpenPoint) -> Measured:
    return Measured(
        TINY,
        [point for point in points if isinstance(point, ClosedPoint)],
        [point for point in points if isinstance(point, OpenPoint)],
        complete=True,
    )
