"""The measured points. Added one by one, so that an interrupted measurement can be shown."""

from dataclasses import dataclass, field

from vouch.client.bench.load import Load
from vouch.client.models import ModelVersion


@dataclass(frozen=True)
class ClosedPoint:
    """A measurement in a closed loop: some callers at the same time, each waiting for its answer."""

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
    """A measurement in an open loop: calls at random times."""

    batch_size: int
    """Images a call."""
    share: float
    """Share of the capacity measured for this batch size; over 1 is overload."""
    rate: float
    """Calls per second that were due, on average."""
    load: Load

    @property
    def images_per_s(self) -> float:
        """Rightly answered."""
        return self.load.calls_per_s * self.batch_size


def shown_ms(value: float) -> str:
    """Milliseconds with three digits, or without decimals from 100 on."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


@dataclass
class Measured:
    """All points so far."""

    model: ModelVersion
    closed: list[ClosedPoint] = field(default_factory=list)
    open: list[OpenPoint] = field(default_factory=list)
    wrong: str = ""
    """A sentence about answers that differ from the reference, warm-up included; empty if none does."""
    complete: bool = False

    @property
    def loads(self) -> list[Load]:
        """The results of the calls, point by point."""
        return [*(point.load for point in self.closed), *(point.load for point in self.open)]

    @property
    def batch_sizes(self) -> list[int]:
        """The batch sizes in the order of measurement."""
        return list(dict.fromkeys(point.batch_size for point in self.closed))

    def best(self, batch_size: int) -> ClosedPoint:
        """The point of this batch size with the highest throughput; it must have been measured."""
        return max(
            (point for point in self.closed if point.batch_size == batch_size), key=lambda point: point.images_per_s
        )
