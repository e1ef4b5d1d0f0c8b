from vouch.server.counting.counts import Counts, total
from vouch.server.counting.statistics import Span, Statistics


def counted(success: int) -> Statistics:
    return Statistics(queue=Span(success, 10 * success))


def test_versions_of_several_workers_add_up_by_name_and_number() -> None:
    """A worker that has not been asked for a version yet adds nothing to it; the parts stay as they were."""
    first = Counts({"a": {1: counted(1)}, "b": {1: counted(20)}})
    second = Counts({"a": {1: counted(4), 2: counted(300)}})

    together = total([first, second, second])

    assert together.versions == {"a": {1: counted(9), 2: counted(600)}, "b": {1: counted(20)}}
    assert first.versions == {"a": {1: counted(1)}, "b": {1: counted(20)}}
    assert second.versions == {"a": {1: counted(4), 2: counted(300)}}


def test_of_a_version_that_nobody_counted_there_are_noughts() -> None:
    """It has just been installed, perhaps by another worker first."""
    counts = Counts({"a": {1: counted(1)}})

    assert counts.of("a", 1) == counted(1)
    assert counts.of("a", 2) == Statistics()
    assert counts.of("b", 1) == Statistics()


def test_counts_of_versions_long_gone_are_forgotten() -> None:
    """A server that is given a version an hour does not grow; the version before the served one is still there, because
    its last calls may still end.
    """
    counts = Counts()
    for version in (1, 2, 3):
        counts.begin("a", version).queue.add(version, 1)
    counts.begin("b", 1)

    assert {name: sorted(versions) for name, versions in counts.versions.items()} == {"a": [2, 3], "b": [1]}
    late = Counts({"a": {1: counted(1), 4: counted(4)}})
    assert sorted(total([counts, late]).versions["a"]) == [3, 4]


def test_what_is_counted_after_the_beginning_is_in_the_counts() -> None:
    """Whoever counts holds the very object."""
    counts = Counts()

    counts.begin("a", 1).queue.add(2, 20)

    assert counts.of("a", 1) == counted(2)
