"""From what is known of the published models to what is to be served: pure rules, no state.

The newest version that reproduced its claim is served. What a worker cannot load is a casualty: the last good version
goes on being served. A version that is served is never given up for one that is not verified yet.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from vouch.server.lineup.lineup import LineUp, Model, Refusal, Version
from vouch.server.lineup.verdict import VerifiedVersion

MOST_DEATHS = 3
"""Workers that may end while they load a version that another worker serves."""
MOST_KILLS = 2
"""Workers that may be killed (SIGKILL) while they load a version: perhaps by a person, perhaps for want of memory."""


@dataclass(frozen=True)
class Known:
    """All that is known of one model."""

    found: frozenset[int] | None = frozenset()
    """Versions in its folder; None where they cannot be read, so that all of them may be there."""
    verified: Mapping[int, VerifiedVersion] = field(default_factory=dict)
    """Those that reproduced their claim."""
    refused: Mapping[int, str] = field(default_factory=dict)
    """Version -> why its probe refused it."""
    casualties: Mapping[int, str] = field(default_factory=dict)
    """Version -> why workers cannot serve it."""
    running: frozenset[int] = frozenset()
    """Versions that a worker serves now."""
    held: frozenset[int] = frozenset()
    """Versions whose files are held open: a new worker needs their folder no more than one that serves them."""
    pinned: int = 0
    """The only version that may be served; 0: none is pinned."""

    def can_be_served(self, version: int) -> bool:
        """Whether its files are at hand, or may be."""
        return self.found is None or version in self.found | self.running | self.held


def live_version(known: Known) -> int:
    """The version that is to answer; 0: there is none."""
    there = {one for one in known.verified if known.can_be_served(one)}
    wanted = {known.pinned} & there if known.pinned else there
    good = wanted - known.casualties.keys()
    return max(good, default=0) or max(there & known.running, default=0)


def to_verify(known: Known) -> tuple[int, ...]:
    """Versions that nobody has decided on and that would be served, the first to look at first: newest first."""
    undecided = (known.found or frozenset()) - known.verified.keys() - known.refused.keys() - known.casualties.keys()
    if known.pinned:
        return tuple({known.pinned} & undecided)
    live = live_version(known)
    least = 0 if live in known.casualties else live  # one that a worker lost is served until another is verified
    return tuple(sorted((version for version in undecided if version > least), reverse=True))


def line_up(number: int, models: Mapping[str, Known], complete: bool) -> LineUp:
    """The line-up for all of them."""
    listed = (_model(name, known) for name, known in sorted(models.items()))
    return LineUp(number=number, complete=complete, models=tuple(model for model in listed if model is not None))


def is_casualty(deaths: int, kills: int, elsewhere: bool) -> bool:
    """Whether a version that workers died of is given up.

    Args:
        deaths: of workers, one after the other, while they loaded it; those that were killed among them.
        kills: of these, by SIGKILL.
        elsewhere: another worker serves it now, so that it can be loaded.
    """
    if elsewhere:
        return deaths >= MOST_DEATHS
    return deaths > kills or kills >= MOST_KILLS


def _model(name: str, known: Known) -> Model | None:
    live = live_version(known)
    reasons = {**known.refused, **known.casualties}
    refusals = {one: why for one, why in reasons.items() if one > live or one in (known.pinned, live)}
    verifying = to_verify(known)
    if not (known.found is None or known.found or live or refusals):
        return None
    return Model(
        name=name,
        versions=(_version(known.verified[live]),) if live else (),
        refusals=tuple(Refusal(version=one, reason=why) for one, why in sorted(refusals.items())),
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
