"""Decides from what is known of a model which version is served: pure rules, no state.

The newest version that reproduced its claim is served, unless it is worse than an older one that did too: then it is
held back. A version that workers cannot load is a casualty: the last good version stays served. A served version is
never replaced by one that is not verified yet.

What is held back depends only on the versions that are there, not on earlier events, so that a restart decides the
same: every older version that could hold one back is examined before that one is served.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from vouch.server.lineup.comparing import Comparable, Worse, have_the_same_classes, worse_than
from vouch.server.lineup.lineup import Model, Refusal, Version
from vouch.server.lineup.verdict import Claimed, VerifiedVersion

MOST_DEATHS = 3
"""Number of workers that may end while they load a version that another worker serves."""
MOST_KILLS = 2
"""Number of workers that may be killed (SIGKILL) while they load a version: by a person, or because memory ran out."""
MOST_OLDER = 100
"""A version is compared with at most this many: the newest below it."""


@dataclass(frozen=True)
class Known:
    """All that is known of one model."""

    found: frozenset[int] | None = frozenset()
    """Versions in its folder; None if it cannot be read: then any of them may be there."""
    verified: Mapping[int, VerifiedVersion] = field(default_factory=dict)
    """Versions that reproduced their claim."""
    refused: Mapping[int, str] = field(default_factory=dict)
    """Version -> why its probe refused it."""
    casualties: Mapping[int, str] = field(default_factory=dict)
    """Version -> why workers cannot serve it."""
    running: frozenset[int] = frozenset()
    """Versions that a worker serves now."""
    served: int = 0
    """The version last served as the live one; it may be about to be replaced. 0: none."""
    held: frozenset[int] = frozenset()
    """Versions whose files are kept open: a new worker can load them without their folder."""
    pinned: int = 0
    """The only version that may be served; 0: none is pinned."""
    claimed: Mapping[int, Claimed] = field(default_factory=dict)
    """Claims of versions that are not verified."""
    put_off: frozenset[int] = frozenset()
    """Versions that cannot be verified now: nothing waits for them."""
    worse_allowed: bool = False
    """Whether a version may be worse than older ones."""

    def can_be_served(self, version: int) -> bool:
        """Whether its files are available, or may be."""
        return self.found is None or version in self.found | self.running | self.held

    @property
    def undecided(self) -> frozenset[int]:
        """Versions in the folder that are not decided yet."""
        return (self.found or frozenset()) - self.verified.keys() - self.refused.keys() - self.casualties.keys()

    @property
    def good(self) -> tuple[int, ...]:
        """Versions that could be served, ascending."""
        usable = (one for one in self.verified if self.can_be_served(one) and one not in self.casualties)
        return tuple(sorted(one for one in usable if self.pinned in (0, one)))

    def older(self, version: int) -> frozenset[int]:
        """Versions that this one is compared with; none if it may be worse, or if a version is pinned."""
        if self.pinned or self.worse_allowed:
            return frozenset()
        below = sorted(one for one in {*(self.found or ()), *self.good} if one < version)
        return frozenset(below[-MOST_OLDER:])


@dataclass(frozen=True)
class Choice:
    """The choice among one model's versions."""

    live: int = 0
    """The version that answers; 0: none."""
    best: int = 0
    """The version that would answer if no undecided older one could hold it back; 0: none."""
    held_back: Mapping[int, Worse] = field(default_factory=dict)
    """Newer versions that reproduced their claim, and why they are not served."""


def choice(known: Known) -> Choice:
    """Chooses the newest version that could be served and is not worse than an older one."""
    best, back = 0, {}
    for version in reversed(known.good):
        if why := _beaten(known, version):
            back[version] = why
            continue
        best = best or version
        if version in known.running | {known.served} or not _rivals(known, version) - known.put_off:
            return Choice(version, best, back)
    there = {one for one in known.verified if known.can_be_served(one)}
    return Choice(max(there & known.running, default=0), best, back)


def to_verify(known: Known) -> tuple[int, ...]:
    """Undecided versions that would be served, or could hold back the one that would. The newest comes first, and is
    to be verified first.
    """
    if known.pinned:
        return tuple({known.pinned} & known.undecided)
    best = choice(known).best  # never a casualty: then older versions are verified
    return tuple(sorted({one for one in known.undecided if one > best} | _rivals(known, best), reverse=True))


def not_compared(known: Known, version: int) -> tuple[int, ...]:
    """Older versions that a verified one is not compared with because they have other classes, ascending."""
    said: dict[int, Comparable] = {**known.claimed, **{one: two.verdict for one, two in known.verified.items()}}
    older = known.older(version) & said.keys()
    return tuple(sorted(one for one in older if not have_the_same_classes(said[one], said[version])))


def _beaten(known: Known, version: int) -> Worse | None:
    """Why a version is held back: the newest older version that it is worse than; None if there is none.

    The newest, because older ones need not be verified: so the reason is the same after a restart.
    """
    newest_first = sorted(known.older(version).intersection(known.good), reverse=True)
    verdict = known.verified[version].verdict
    reasons = (worse_than(one, known.verified[one].verdict, verdict) for one in newest_first)
    return next((why for why in reasons if why is not None), None)


def _rivals(known: Known, version: int) -> frozenset[int]:
    """Undecided versions that could hold this one back, by their claims if known."""
    older = known.older(version) & known.undecided if version in known.verified else frozenset()
    return frozenset(
        one
        for one in older
        if one not in known.claimed or worse_than(one, known.claimed[one], known.verified[version].verdict) is not None
    )


def is_casualty(deaths: int, kills: int, elsewhere: bool) -> bool:
    """Whether a version during whose loading workers ended is given up.

    Args:
        deaths: number of workers that ended in a row while they loaded it, including killed ones.
        kills: number of these killed by SIGKILL.
        elsewhere: whether another worker serves it now, so that it can be loaded.
    """
    if elsewhere:
        return deaths >= MOST_DEATHS
    return deaths > kills or kills >= MOST_KILLS


def model(name: str, known: Known) -> Model | None:
    """A model's entry in the line-up; None if it is neither there nor served."""
    chosen = choice(known)
    live, back = chosen.live, chosen.held_back
    reasons = {**known.refused, **known.casualties, **{one: f"held back: {why}" for one, why in back.items()}}
    refusals = {one: why for one, why in reasons.items() if one > live or one in (known.pinned, live)}
    verifying = to_verify(known)
    if not (known.found is None or known.found or live or refusals):
        return None
    return Model(
        name=name,
        versions=(_version(known.verified[live]),) if live else (),
        refusals=tuple(
            Refusal(version=one, reason=why, held_back=one in back) for one, why in sorted(refusals.items())
        ),
        verifying=tuple(sorted(verifying)),
    )


def _version(verified: VerifiedVersion) -> Version:
    verdict = verified.verdict
    return Version(
        version=verified.version,
        path=verified.path,
        digest=verdict.digest,
        served=verdict.served,
        recount=verdict.recount,
        plan=verdict.plan,
    )
