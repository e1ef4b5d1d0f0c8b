"""The best of the measured settings for a caller."""

from collections.abc import Sequence
from dataclasses import dataclass

from vouch.client.bench.points import ClosedPoint, shown_ms

TIMES_ALONE = 10
"""The default limit of the 99th percentile, as a multiple of a single call's median."""


@dataclass(frozen=True)
class Recommendation:
    """A recommended setting, with its latency limit."""

    slo_ms: float | None
    """Limit of the 99th percentile; None if no single call was answered to derive it from."""
    point: ClosedPoint | None
    """The point with the highest throughput within the limit; None if no point is within it."""
    sentence: str


def recommend(points: Sequence[ClosedPoint], slo_ms: float | None) -> Recommendation:
    """The point with the highest throughput within the limit, with a sentence for the user.

    Args:
        points: at least one. Those with wrong answers are not recommended.
        slo_ms: None for ten times the median of a single call with the smallest batch.
    """
    limit, why = slo_ms, ""
    if limit is None:
        lone = min(points, key=lambda point: (point.batch_size, point.concurrency)).load.p50_s
        if lone is None:
            sentence = "No setting is recommended: calls sent one at a time were not answered."
            return Recommendation(None, None, sentence)
        limit, why = TIMES_ALONE * lone * 1000, f" ({TIMES_ALONE} times the median of a single call)"
    right = [
        (point.load.p99_s * 1000, point) for point in points if point.load.p99_s is not None and not point.load.wrong
    ]
    within = [(p99_ms, point) for p99_ms, point in right if p99_ms <= limit]
    if within:
        p99_ms, best = max(within, key=lambda pair: pair[1].images_per_s)
        sentence = (
            f"Recommended: {_setting(best)}: {best.images_per_s:,.0f} images/s, and 99 % of the calls take at most "
            f"{shown_ms(p99_ms)} ms, within the limit of {shown_ms(limit)} ms{why}."
        )
        return Recommendation(limit, best, sentence)
    sentence = f"No setting answers 99 % of the calls correctly within {shown_ms(limit)} ms{why}"
    if right:
        p99_ms, nearest = min(right, key=lambda pair: pair[0])
        sentence += f"; the nearest is {_setting(nearest)}, with {shown_ms(p99_ms)} ms"
    return Recommendation(limit, None, f"{sentence}.")


def _setting(point: ClosedPoint) -> str:
    images = "1 image" if point.batch_size == 1 else f"{point.batch_size:,} images"
    calls = "1 call" if point.concurrency == 1 else f"{point.concurrency:,} calls"
    return f"{images} per call, {calls} at once"
