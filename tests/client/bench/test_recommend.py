import pytest

from tests.client.bench.made_up import closed
from vouch.client.bench.recommend import recommend

LONE = closed(1, 1, calls=500, p50_s=1e-3, p99_s=2e-3)
FAST = closed(32, 4, calls=900, p99_s=9e-3)
SLOW = closed(128, 8, calls=800, p99_s=30e-3)


def test_the_highest_throughput_within_ten_lone_calls_is_recommended() -> None:
    """In one sentence with its figures."""
    found = recommend([LONE, FAST, SLOW], None)

    assert found.point is FAST
    assert found.slo_ms == pytest.approx(10)
    assert found.sentence == (
        "Recommended: 32 images per call, 4 calls at once: 28,800 images/s, and 99 % of the calls take at most 9 ms, "
        "within the limit of 10 ms (10 times the median of a single call)."
    )


def test_the_users_limit_is_kept() -> None:
    """A generous one lets a larger batch win, a strict one the lone call."""
    assert recommend([LONE, FAST, SLOW], 30).point is SLOW
    assert recommend([LONE, FAST, SLOW], 5).point is LONE
    assert recommend([LONE, FAST, SLOW], 5).sentence.endswith("2 ms, within the limit of 5 ms.")


def test_where_nothing_keeps_the_limit_the_nearest_is_told() -> None:
    """And nothing is recommended."""
    found = recommend([FAST, LONE], 0.5)

    assert found.point is None
    assert found.sentence == (
        "No setting answers 99 % of the calls correctly within 0.5 ms; the nearest is 1 image per call, 1 call at "
        "once, with 2 ms."
    )


def test_wrong_answers_and_calls_without_answer_are_not_recommended() -> None:
    """However fast they came."""
    wrong = closed(64, 4, calls=9000, wrong=1)
    failing = closed(64, 8, calls=9000, p99_s=None, errors={"RESOURCE_EXHAUSTED": 4000})

    assert recommend([LONE, wrong, failing], None).point is LONE
    assert (
        recommend([wrong, failing], 1000).sentence == "No setting answers 99 % of the calls correctly within 1,000 ms."
    )


def test_a_lone_call_without_answer_sets_no_limit() -> None:
    """There is nothing to multiply."""
    found = recommend([closed(1, 1, p50_s=None, p99_s=None)], None)

    assert (found.slo_ms, found.point) == (None, None)
    assert found.sentence == "No setting is recommended: calls sent one at a time were not answered."
