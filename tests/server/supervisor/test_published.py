from pathlib import Path

import pytest

from tests.support.metrics_state import VERDICT
from vouch.server.lineup.verdict import VerifiedVersion
from vouch.server.supervisor.published import Published


def asked_about_held_files(models: int) -> int:
    """How often somebody asks whether files are held while one more model is verified and loaded."""
    asked: list[str] = []

    def is_held(one: VerifiedVersion) -> bool:
        asked.append(one.name)
        return True

    published = Published(Path("models"), is_held=is_held)
    names = [f"model-{number}" for number in range(models)]
    published.look({name: frozenset({1}) for name in [*names, "last"]})
    for name in names:
        published.verify(VerifiedVersion(name, 1, Path(name, "1"), VERDICT))
    published.run(frozenset((name, 1) for name in names))
    asked.clear()

    published.verify(VerifiedVersion("last", 1, Path("last", "1"), VERDICT))
    published.run(frozenset((name, 1) for name in [*names, "last"]))

    assert published.served == dict.fromkeys([*names, "last"], 1)
    assert [one.name for one in published.line_up.models] == sorted([*names, "last"])
    return len(asked)


def test_what_happens_to_a_model_costs_the_same_beside_many() -> None:
    """Else a start with many models takes their square."""
    assert asked_about_held_files(1) == asked_about_held_files(50) > 0


@pytest.mark.parametrize("again", [False, True])
def test_a_model_that_ends_is_served_by_nobody(again: bool) -> None:
    """What runs is known by model: a worker that lets one go leaves the others as they are."""
    published = Published(Path("models"))
    published.look({name: frozenset({1}) for name in "ab"})
    for name in "ab":
        published.verify(VerifiedVersion(name, 1, Path(name, "1"), VERDICT))
    published.run(frozenset({("a", 1), ("b", 1)}))

    published.run(frozenset({("b", 1)}))
    if again:
        published.run(frozenset({("a", 1), ("b", 1)}))

    assert published.known("a").running == (frozenset({1}) if again else frozenset())
    assert published.known("b").running == {1}
