"""From what is known of a model to what is served, as a table."""

from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from vouch.bundle.accuracy import Accuracy
from vouch.server.lineup.comparing import Compared
from vouch.server.lineup.lineup import RunPlan
from vouch.server.lineup.policy import MOST_OLDER, Known, choice, is_casualty, model, not_compared, to_verify
from vouch.server.lineup.verdict import Claimed, Verdict, VerifiedVersion

CLASSES, OTHERS = Compared(classes="1" * 64), Compared(classes="2" * 64)
GOOD, FAIR, BAD = 96, 60, 6
"""Right answers of 100, each of whose intervals is below the one before."""


def verified(*versions: int) -> dict[int, VerifiedVersion]:
    return {one: version_of(one) for one in versions}


def version_of(version: int, right: int = GOOD, compared: Compared = CLASSES) -> VerifiedVersion:
    return VerifiedVersion("m", version, Path(f"m/{version}"), verdict_of(version, right, compared))


def verdict_of(version: int, right: int = GOOD, compared: Compared = CLASSES) -> Verdict:
    return Verdict(
        digest=f"{version:064x}",
        claim=Accuracy(correct=right, total=100),
        served=Accuracy(correct=right, total=100),
        compared=compared,
        plan=RunPlan(threads=version, inline_images=8),
        files={},
    )


def claims(**right: int) -> dict[int, Claimed]:
    """`v2=96`: that version 2, which nobody has verified, claims 96 of 100."""
    counts = {int(name[1:]): Accuracy(correct=count, total=100) for name, count in right.items()}
    return {one: Claimed(version=one, claim=claim, compared=CLASSES) for one, claim in counts.items()}


def known(found: object = (), good: tuple[int, ...] = (), **others: Any) -> Known:
    """What is claimed where nothing else is said: as many as each other."""
    folder = None if found is None else frozenset(found)  # type: ignore[call-overload]
    running = frozenset(others.pop("running", ()))
    claimed = others.pop("claimed", claims(**{f"v{one}": GOOD for one in folder or ()}))
    right = dict.fromkeys(good, GOOD) | {int(name[1:]): others.pop(name) for name in [*others] if name[1:].isdigit()}
    versions = {one: version_of(one, count) for one, count in right.items()}
    return Known(found=folder, verified=versions, running=running, claimed=claimed, **others)


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
    assert choice(known).live == live, what
    assert to_verify(known) == next_ones, what


@pytest.mark.parametrize(
    ("what", "known", "live", "next_ones", "back"),
    [
        ("a worse one is held back", known({1, 2}, v1=GOOD, v2=BAD, running={1}), 1, (), {2: 1}),
        ("none is, that nothing shows to be worse", known({1, 2}, v1=FAIR, v2=FAIR - 5, running={1}), 2, (), {}),
        ("a better one after it is served", known({1, 2, 3}, v1=FAIR, v2=BAD, v3=GOOD), 3, (), {}),
        ("a third is compared with the first too", known({1, 2, 3}, v1=GOOD, v2=BAD, v3=FAIR), 1, (), {3: 1, 2: 1}),
        ("and with the best of all", known({1, 2, 3}, v1=FAIR, v2=GOOD, v3=BAD), 2, (), {3: 2}),
        ("worse than one that is held back alone", known({1, 2, 3}, v1=GOOD, v2=FAIR, v3=BAD), 1, (), {3: 2, 2: 1}),
        ("it was served: it gives way", known({1, 2}, v1=GOOD, v2=BAD, running={2}), 1, (), {2: 1}),
        ("allowed", known({1, 2}, v1=GOOD, v2=BAD, running={1}, worse_allowed=True), 2, (), {}),
        ("allowed: nothing older is looked at", known({1, 2}, v2=BAD, claimed={}, worse_allowed=True), 2, (), {}),
        ("pinned", known({1, 2}, v1=GOOD, v2=BAD, running={1}, pinned=2), 2, (), {}),
        ("pinned to the older one", known({1, 2}, v1=GOOD, v2=BAD, pinned=1), 1, (), {}),
        ("a restart: one that claims more is looked at first", known({1, 2}, v2=BAD), 0, (1,), {}),
        ("one that claims no more is not", known({1, 2}, v2=GOOD), 2, (), {}),
        ("one of which nothing is known is", known({1, 2}, v2=GOOD, claimed={}), 0, (1,), {}),
        ("newer ones before older ones", known({1, 2, 3}, v2=BAD), 0, (3, 1), {}),
        ("what is served goes on meanwhile", known({1, 2}, v2=BAD, running={2}), 2, (1,), {}),
        ("its worker is being replaced: it goes on", known({1, 2}, v2=BAD, served=2), 2, (1,), {}),
        ("what was served before, too", known({1, 2, 3}, v1=FAIR, v3=BAD + 40, running={1}), 1, (2,), {}),
        ("refused: it holds nothing back", known({1, 2}, v2=BAD, refused={1: "why"}), 2, (), {}),
        ("it cannot be verified now: nobody waits", known({1, 2}, v2=BAD, put_off=frozenset({1})), 2, (1,), {}),
        ("a casualty holds nothing back", known({1, 2}, v1=GOOD, v2=BAD, casualties={1: "why"}), 2, (), {}),
        (
            "its folder is gone, a worker serves it",
            known({2}, v1=GOOD, v2=BAD, running={1}),
            1,
            (),
            {2: 1},
        ),
        ("a restart then: rather a worse one than none", known({2}, v2=BAD), 2, (), {}),
        ("and nobody serves it", known({2}, v1=GOOD, v2=BAD), 2, (), {}),
        ("the folder cannot be read", known(None, v1=GOOD, v2=BAD), 1, (), {2: 1}),
        (
            "it is lost: the next best",
            known({1, 2, 3}, v1=FAIR, v2=GOOD, v3=BAD, casualties={2: "y"}),
            1,
            (),
            {3: 1},
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_version_that_is_worse_than_an_older_one_is_held_back(
    what: str, known: Known, live: int, next_ones: tuple[int, ...], back: dict[int, int]
) -> None:
    """Row by row; of those above the live one, the older version that each is worse than."""
    found = choice(known)

    assert (found.live, to_verify(known)) == (live, next_ones), what
    assert {version: why.than for version, why in found.held_back.items()} == back, what


TRUTHS = (GOOD, FAIR, BAD, 0)
"""What a version is: right answers, or 0 for one that cannot vouch for itself."""


def test_a_restart_decides_alike() -> None:
    """One version after the other, or all of them at once: the same is served, and the rest held back for the same
    reasons, whatever they are worth."""
    for truth in product(TRUTHS, repeat=4):
        counts = dict(enumerate(truth, 1))
        served: frozenset[int] = frozenset()
        back: dict[int, int] = {}
        verdicts: dict[int, VerifiedVersion] = {}
        for newest in counts:
            verdicts, served, back = settled({one: counts[one] for one in range(1, newest + 1)}, verdicts, served)
        _, *again = settled(counts, {}, frozenset())

        assert again == [served, back], truth


def settled(
    counts: dict[int, int], verdicts: dict[int, VerifiedVersion], running: frozenset[int]
) -> tuple[dict[int, VerifiedVersion], frozenset[int], dict[int, int]]:
    """What is verified, what is served, and what is held back by which, when nothing more is to be verified."""
    verdicts, refused = dict(verdicts), dict.fromkeys((one for one, count in counts.items() if not count), "why")
    while True:
        seen = claims(**{f"v{one}": count for one, count in counts.items()})
        now = Known(frozenset(counts), verdicts, refused, running=running, claimed=seen)
        if not (open_ones := to_verify(now)):
            found = choice(now)
            return verdicts, frozenset({found.live}), {one: why.than for one, why in found.held_back.items()}
        verdicts[open_ones[0]] = version_of(open_ones[0], counts[open_ones[0]])
        running = frozenset({choice(replace(now, verified=dict(verdicts))).live})


def test_versions_of_other_classes_are_not_compared() -> None:
    """They are named, so that the log can say so."""
    versions = {
        1: version_of(1, GOOD, OTHERS),
        2: version_of(2, GOOD),
        3: version_of(3, BAD, OTHERS),
        4: version_of(4, BAD),
    }
    there = Known(frozenset(versions), versions)

    assert not_compared(there, 4) == (1, 3)
    assert choice(there).live == 2
    assert choice(replace(there, found=frozenset({2, 3}), verified={2: versions[2], 3: versions[3]})).live == 3


def test_a_version_is_compared_with_the_newest_of_many() -> None:
    """What one comparison may cost has a bound; which versions those are follows from the folder alone."""
    many = range(1, MOST_OLDER + 3)
    there = Known(frozenset(many), {MOST_OLDER + 2: version_of(MOST_OLDER + 2)})

    assert to_verify(there) == tuple(range(MOST_OLDER + 1, 1, -1))


def test_a_line_up_says_what_is_held_back() -> None:
    """With the numbers, and apart from what could not vouch for itself."""
    there = known({1, 2, 3}, v1=GOOD, v2=BAD, refused={3: "why"})

    listed = model("m", there)

    assert listed is not None
    held, refused = listed.refusals
    assert (held.version, held.held_back) == (2, True)
    assert held.reason.startswith("held back: worse than version 1: it has 6 of 100 right")
    assert (refused.version, refused.held_back) == (3, False)


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


def test_a_model_is_listed_with_its_reasons() -> None:
    """One that is neither there nor served is not listed."""
    found = {
        name: model(name, there)
        for name, there in {
            "waits": known({1}),
            "serves": known({1, 2, 3}, (2,), refused={3: "why", 1: "long ago"}),
            "gone": known(),
            "unreadable": known(None),
            "empty": known((), (4,), running={4}),
        }.items()
    }

    assert [name for name, one in found.items() if one is None] == ["gone"]
    waiting, serving, memory = found["waits"], found["serves"], found["empty"]
    assert waiting is not None
    assert (waiting.live, waiting.verifying) == (None, (1,))
    assert serving is not None
    assert serving.live is not None
    assert (serving.live.version, serving.live.plan.threads, serving.live.digest) == (2, 2, f"{2:064x}")
    assert [(one.version, one.reason) for one in serving.refusals] == [(3, "why")], "of versions above the live one"
    assert memory is not None
    assert memory.live is not None
