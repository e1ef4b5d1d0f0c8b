"""Which of the settings that were measured a caller does best with."""

from collections.abc import Sequence
from dataclasses import dataclass

from vouch.client.bench.points import ClosedPoint, shown_ms

TIMES_ALONE = 10
"""Without a limit of the user's own, 99 in 100 calls may take so many times as long as half of all lone ones."""


@dataclass(frozen=True)
class Recommendation:
    """A setting with the limit that it keeps."""

    slo_ms: float | None
    """Milliseconds that 99 in 100 calls may take; None where no lone call was answered to take it from."""
    point: ClosedPoint | None
    """The one with the highest throughput within the limit; None where none keeps it."""
    sentence: str


def recommend(points: Sequence[ClosedPoint], slo_ms: float | None) -> Recommendation:
    """
    Args:
        points: at least one. Those with wrong answers are not recommended.
        slo_ms: None for ten times the median of a lone call with the smallest batch.
    """
    limit, why = slo_ms, ""
    if limit is None:
        lone = min(points, key=lambda point: (point.batch_size, point.concurrency)).load.p50_s
        if lone is None:
            return Recommendation(None, None, "No setting is recommended: even lone calls were not answered.")
        limit, why = TIMES_ALONE * lone * 1000, f" ({TIMES_ALONE} times a lone call's median)"
    right = [
        (point.load.p99_s * 1000, point) for point in points if point.load.p99_s is not None and not point.load.wrong
    ]
    within = [(p99_ms, point) for p99_ms, point in right if p99_ms <= limit]
    if within:
        p99_ms, best = max(within, key=lambda pair: pair[1].images_per_s)
        sentence = (
            f"Recommended: {_setting(best)}, which gives {best.images_per_s:,.0f} images/s; 99 in 100 calls take at "
            f"most {shown_ms(p99_ms)} ms, within the limit of {shown_ms(limit)} ms{why}."
        )
        return Recommendation(limit, best, sentence)
    sentence = f"No setting answers 99 in 100 calls rightly within {shown_ms(limit)} ms{why}"
    if right:
        p99_ms, nearest = min(right, key=lambda pair: pair[0])
        sentence += f"; the nearest is {_setting(nearest)}, with {shown_ms(p99_ms)} ms"
    return Recommendation(limit, None, f"{sentence}.")


def _setting(point: ClosedPoint) -> str:
    images = "1 image" if point.batch_size == 1 else f"{point.batch_size:,} images"
    calls = "1 call" if point.concurrency == 1 else f"{point.concurrency:,} calls"
    return f"{images} a call and {calls} at once"
