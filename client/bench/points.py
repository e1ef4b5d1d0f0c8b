"""What was measured, as values. Filled while it goes on, so that an interrupted measurement can be shown."""

from dataclasses import dataclass, field

from vouch.client.bench.load import Load
from vouch.client.models import ModelVersion


@dataclass(frozen=True)
class ClosedPoint:
    """Some callers at once, each waiting for its answer."""

    batch_size: int
    """Images a call."""
    concurrency: int
    """Calls at once."""
    load: Load

    @property
    def images_per_s(self) -> float:
        """Rightly answered."""
        return self.load.calls_per_s * self.batch_size


@dataclass(frozen=True)
class OpenPoint:
    """Calls that come when they are due."""

    batch_size: int
    """Images a call."""
    share: float
    """Of the capacity that was measured for this batch size; over 1 is more than it can take."""
    rate: float
    """Calls a second that were due, on average."""
    load: Load

    @property
    def images_per_s(self) -> float:
        """Rightly answered."""
        return self.load.calls_per_s * self.batch_size


def shown_ms(value: float) -> str:
    """Milliseconds as people read them: three digits, or all before the point."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


@dataclass
class Measured:
    """All points so far."""

    model: ModelVersion
    closed: list[ClosedPoint] = field(default_factory=list)
    open: list[OpenPoint] = field(default_factory=list)
    wrong: str = ""
    """A sentence about answers that were not as before, warm-up included; empty: all were."""
    complete: bool = False

    @property
    def loads(self) -> list[Load]:
        """What came of the calls, point by point."""
        return [*(point.load for point in self.closed), *(point.load for point in self.open)]

    @property
    def batch_sizes(self) -> list[int]:
        """In the order in which they were measured."""
        return list(dict.fromkeys(point.batch_size for point in self.closed))

    def best(self, batch_size: int) -> ClosedPoint:
        """The point of this batch size with the highest throughput; it must have been measured."""
        return max(
            (point for point in self.closed if point.batch_size == batch_size), key=lambda point: point.images_per_s
        )
