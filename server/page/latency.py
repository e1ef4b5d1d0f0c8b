"""How long a version's requests took, computed from the buckets of their counts."""

from collections.abc import Sequence
from typing import Any

from vouch.server.counting.statistics import BOUNDS_NS, Requests, no_times

OK = 0
LONG = ("/Evaluate", "/PredictStream")
"""Methods whose calls are not single requests."""
SHARES = {"half_ms": 0.5, "most_ms": 0.99}
"""Name of a figure -> the share of the requests that took no longer."""


def latency(requests: Requests) -> dict[str, Any]:
    """The number of answered requests, and the time in milliseconds within which half and 99 % of them were answered.

    Times are upper ends of buckets; None if nothing was counted, or if the time is above the largest bucket.
    """
    buckets = no_times()
    for method, codes in requests.methods.items():
        if OK in codes and not method.endswith(LONG):
            buckets = [one + other for one, other in zip(buckets, codes[OK].buckets, strict=True)]
    return {"requests": sum(buckets)} | {name: _within_ms(buckets, share) for name, share in SHARES.items()}


def _within_ms(buckets: Sequence[int], share: float) -> float | None:
    wanted, seen = share * sum(buckets), 0
    for bound_ns, count in zip(BOUNDS_NS, buckets[:-1], strict=True):
        seen += count
        if seen and seen >= wanted:
            return float(bound_ns) / 1e6
    return None
