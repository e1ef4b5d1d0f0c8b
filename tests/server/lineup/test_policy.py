"""From what is known of a model to what is served, as a table."""

from pathlib import Path
from typing import Any

import pytest

from vouch.bundle.accuracy import Accuracy
from vouch.server.lineup.lineup import RunPlan
from vouch.server.lineup.policy import Known, is_casualty, line_up, live_version, to_verify
from vouch.server.lineup.verdict import Verdict, VerifiedVersion

ACCURACY = Accuracy(correct=9, total=10)


def verified(*versions: int) -> dict[int, VerifiedVersion]:
    return {one: VerifiedVersion("m", one, Path(f"m/{one}"), verdict_of(one)) for one in versions}


def verdict_of(version: int) -> Verdict:
    return Verdict(
        digest=f"{version:064x}",
        claim=ACCURACY,
        served=ACCURACY,
        plan=RunPlan(threads=version, inline_images=8),
        files={},
    )


def known(found: object = (), good: tuple[int, ...] = (), **others: Any) -> Known:
    folder = None if found is None else frozenset(found)  # type: ignore[call-overload]
    running = frozenset(others.pop("running", ()))
    return Known(found=folder, verified=verified(*good), running=running, **others)


@pytest.mark.parametrize(
    ("what", "known", "live", "next_ones"),
    [
        ("an empty folder", known(), 0, ()),
        ("new versions: newest first", known({1, 2, 3}), 0, (3, 2, 1)),
        ("one that is verified is served", known({1}, (1,)), 1, ()),
        ("older ones are not looked at", known({1, 2}, (2,)), 2, ()),
        ("a newer one is", known({1, 2, 3}, (2,), running={2}), 2, (3,)),
        ("the newest that is verified", known({1, 2}, (1, 2), running={1}), 2, ()),
        ("refused: the one before stays", known({1, 2}, (1,), refused={2: "why"}, running={1}), 1, ()),
        ("refused, nothing before: older ones", known({1, 2}, refused={2: "why"}), 0, (1,)),
        ("a casualty: the last good one", known({1, 2}, (1, 2), casualties={2: "why"}, running={1}), 1, ()),
        ("a casualty, nothing before: older ones", known({1, 2}, (2,), casualties={2: "why"}), 0, (1,)),
        (
            "lost by one worker, served by another: until an older one is verified",
            known({1, 2}, (2,), casualties={2: "why"}, running={2}),
            2,
            (1,),
        ),
        ("and then that one", known({1, 2}, (1, 2), casualties={2: "why"}, running={2}), 1, ()),
        ("its folder is gone, a worker serves it", known((), (2,), running={2}), 2, ()),
        ("its folder is gone, its files are held", known({1}, (2,), held=frozenset({2})), 2, ()),
        ("its folder is gone, nobody serves it", known({1}, (2,)), 0, (1,)),
        ("its folder is gone: a new one is looked at", known({3}, (2,), running={2}), 2, (3,)),
        ("folders that cannot be read may all be there", known(None, (2,)), 2, ()),
        ("pinned: no other is looked at", known({1, 2, 3}, pinned=2), 0, (2,)),
        ("pinned: no newer one is served", known({1, 2, 3}, (2, 3), pinned=2, running={3}), 2, ()),
        ("pinned and refused: nothing", known({1, 2}, (1,), refused={2: "why"}, pinned=2), 0, ()),
        ("pinned and refused: what runs stays", known({1, 2}, (1,), refused={2: "y"}, pinned=2, running={1}), 1, ()),
        ("pinned and not there", known({1}, pinned=7), 0, ()),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_served_and_what_is_verified_next(
    what: str, known: Known, live: int, next_ones: tuple[int, ...]
) -> None:
    """Row by row."""
    assert live_version(known) == live, what
    assert to_verify(known) == next_ones, what


@pytest.mark.parametrize(
    ("deaths", "kills", "elsewhere", "lost"),
    [
        (1, 0, False, True),
        (1, 1, False, False),  # somebody's kill -9
        (2, 2, False, True),
        (2, 1, False, True),
        (1, 0, True, False),
        (2, 0, True, False),
        (3, 0, True, True),
        (3, 3, True, True),
    ],
)
def test_how_many_workers_a_version_may_end(deaths: int, kills: int, elsewhere: bool, lost: bool) -> None:
    """One is enough where nobody else serves it and nobody killed the worker."""
    assert is_casualty(deaths, kills, elsewhere) is lost


def test_a_line_up_lists_every_published_model_with_its_reasons() -> None:
    """By name; a model that is neither there nor served is not listed."""
    models = {
        "b": known({1, 2, 3}, (2,), refused={3: "why", 1: "long ago"}),
        "a": known({1}),
        "gone": known(),
        "unreadable": known(None),
        "empty": known((), (4,), running={4}),
    }

    found = line_up(7, models, complete=True)

    assert found.number == 7
    assert [model.name for model in found.models] == ["a", "b", "empty", "unreadable"]
    waiting, serving, memory, _ = found.models
    assert (waiting.live, waiting.verifying) == (None, (1,))
    assert serving.live is not None
    assert (serving.live.version, serving.live.plan.threads, serving.live.digest) == (2, 2, f"{2:064x}")
    assert [(one.version, one.reason) for one in serving.refusals] == [(3, "why")], "of versions above the live one"
    assert [version for _, version in found.versions()] == [serving.live, memory.live]
