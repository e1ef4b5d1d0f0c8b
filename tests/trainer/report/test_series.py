from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from vouch.trainer.report.series import Thinned


def record(count: int, capacity: int) -> Thinned[int]:
    series: Thinned[int] = Thinned(capacity)
    for entry in range(count):
        series.append(entry)
    return series


def test_few_entries_are_all_kept() -> None:
    """Nothing is lost before the record is full."""
    assert list(record(8, capacity=8)) == list(range(8))


@given(st.integers(1, 3000), st.integers(2, 20))
def test_many_entries_are_kept_at_even_distances(count: int, capacity: int) -> None:
    """However many there were, at most the capacity is kept, first and last always, the rest evenly between."""
    kept = list(record(count, capacity))
    gaps = {after - before for before, after in pairwise(kept[:-1])}

    assert len(kept) <= capacity + 1
    assert (kept[0], kept[-1]) == (0, count - 1)
    assert len(gaps) <= 1


@given(st.integers(0, 300), st.integers(0, 300))
def test_an_interrupted_record_goes_on(before: int, after: int) -> None:
    """Kept, restored and gone on with, it is the record that was never interrupted."""
    first = record(before, capacity=8)
    series = Thinned[int].restored(first.state(), list(first))
    for entry in range(before, before + after):
        series.append(entry)

    assert list(series) == list(record(before + after, capacity=8))
