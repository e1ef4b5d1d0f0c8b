"""How long a version's requests took, from the buckets that they were counted in."""

from collections.abc import Sequence
from typing import Any

from vouch.server.counting.statistics import BOUNDS_NS, Requests, no_times

OK = 0
LONG = ("/Evaluate", "/PredictStream")
"""Methods whose calls are no single request."""
SHARES = {"half_ms": 0.5, "most_ms": 0.99}
"""Name of a figure -> the share of the requests that took no longer."""


def latency(requests: Requests) -> dict[str, Any]:
    """How many requests were answered, and within how many milliseconds half and 99 % of them; upper ends of buckets,
    None where nothing was counted or a request took longer than the largest bucket.
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
