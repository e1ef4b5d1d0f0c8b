"""What is known about the published models, and the line-up that follows from it. Knows no folder, process or channel.

An event about one model decides only that model again, so that the cost of a start grows linearly with the models. A
scan of the folder decides all of them.
"""

import logging
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from vouch.server.lineup.comparing import Worse
from vouch.server.lineup.folders import without_folders
from vouch.server.lineup.lineup import LineUp, Model
from vouch.server.lineup.policy import Known, choice, is_casualty, model, not_compared, to_verify
from vouch.server.lineup.verdict import Claimed, VerifiedVersion
from vouch.server.logs import event

log = logging.getLogger("vouch.server")

There = Mapping[str, frozenset[int] | None]
"""Model -> its versions in the models folder; None if they cannot be read: then any of them may be there."""
Running = frozenset[tuple[str, int]]
"""Models and versions that a worker serves now."""
HeldBack = tuple[VerifiedVersion, Worse]
"""A version that is held back, and why."""


@dataclass
class _Record:
    """What is known of one model; `Known` is a view of it."""

    found: frozenset[int] | None = frozenset()
    verified: dict[int, VerifiedVersion] = field(default_factory=dict)
    refused: dict[int, str] = field(default_factory=dict)
    casualties: dict[int, str] = field(default_factory=dict)
    deaths: dict[int, tuple[int, int]] = field(default_factory=dict)
    """Version -> number of workers that ended while they loaded it, and of those that were killed."""
    claimed: dict[int, Claimed] = field(default_factory=dict)
    put_off: set[int] = field(default_factory=set)


class Published:
    """Belongs to one event loop. Every change that matters makes another line-up."""

    def __init__(
        self,
        models: Path,
        pins: Mapping[str, int] | None = None,
        is_held: Callable[[VerifiedVersion], bool] = lambda verified: False,
        worse_allowed: Collection[str] = (),
    ) -> None:
        """
        Args:
            models: the models folder; callers must not learn its path.
            pins: model -> its only version that may be served.
            is_held: whether a version's files are kept open.
            worse_allowed: models whose versions may be worse than older ones.
        """
        self._worse_allowed = frozenset(worse_allowed)
        self._is_held = is_held
        self._folder = models
        self._pins = pins or {}
        self._records: dict[str, _Record] = {}
        self._running: Running = frozenset()
        self._running_of: dict[str, frozenset[int]] = {}
        self._listed: dict[str, Model] = {}
        self._held_back: dict[str, Mapping[int, Worse]] = {}
        self._told_held_back: dict[tuple[str, int], str] = {}
        self._complete = False
        self.line_up = LineUp()
        self.on_change: Callable[[], None] = lambda: None
        """Called when there is another line-up."""
        self.served: dict[str, int] = {}
        """Model -> the version that was last served as the live one."""
        self.installs = self.refusals = 0
        """Versions that began to be served, and versions refused, since the start; each refusal counts."""

    def known(self, name: str) -> Known:
        """All that is known of a model, as the policy's input."""
        one = self._records.get(name) or _Record()
        held = frozenset(version for version, verified in one.verified.items() if self._is_held(verified))
        return Known(
            found=one.found,
            verified=one.verified,
            refused=one.refused,
            casualties=one.casualties,
            running=self._running_of.get(name, frozenset()),
            served=self.served.get(name, 0),
            held=held,
            pinned=self._pins.get(name, 0),
            claimed=one.claimed,
            put_off=frozenset(one.put_off),
            worse_allowed=name in self._worse_allowed,
        )

    def to_verify(self, name: str) -> tuple[int, ...]:
        """The versions to verify, by the policy."""
        return to_verify(self.known(name))

    def without_claims(self, name: str, version: int) -> tuple[int, ...]:
        """Older versions that this one would be compared with, and whose claims are not known."""
        known = self.known(name)
        return tuple(sorted((known.older(version) & known.undecided) - known.claimed.keys()))

    def verified(self, name: str, version: int) -> VerifiedVersion:
        """The verified version; it must be in the line-up."""
        return self._records[name].verified[version]

    def all_verified(self) -> list[VerifiedVersion]:
        """Every version that reproduced its claim and is still there or served."""
        return [verified for one in self._records.values() for verified in one.verified.values()]

    def live(self) -> list[VerifiedVersion]:
        """The live version of every model that has one."""
        return [self.verified(name, version.version) for name, version in self.line_up.versions()]

    def refused(self) -> list[tuple[str, int]]:
        """Models and versions that are refused now."""
        listed = [(model.name, one) for model in self.line_up.models for one in model.refusals]
        return [(name, one.version) for name, one in listed if not one.held_back]

    def held_back(self) -> list[HeldBack]:
        """Versions that reproduced their claim and are not served because they are worse than older ones."""
        return [
            (self.verified(name, version), why)
            for name, versions in sorted(self._held_back.items())
            for version, why in sorted(versions.items())
        ]

    def is_served(self, name: str, version: int) -> bool:
        """Whether it is in the line-up."""
        listed = self._listed.get(name)
        return listed is not None and any(one.version == version for one in listed.versions)

    def look(self, there: There) -> None:
        """Sets what the models folder contains now. Versions that are neither there nor served are forgotten."""
        self._complete = True
        for name in {*self._records, *there}:
            one = self._records.setdefault(name, _Record())
            one.found = there.get(name, frozenset())
            if one.found is not None:
                known = self.known(name)
                _keep_alone(one, one.found | known.running | {choice(known).live})
        self._update(self._records)

    def claim(self, name: str, claims: Iterable[Claimed]) -> None:
        """Stores the claims of versions that are not verified."""
        self._records.setdefault(name, _Record()).claimed.update({one.version: one for one in claims})

    def put_off(self, name: str, version: int) -> None:
        """A version cannot be verified at the moment; it is tried again later."""
        self._records.setdefault(name, _Record()).put_off.add(version)
        self._update([name])

    def verify(self, verified: VerifiedVersion) -> None:
        """A version reproduced its claim."""
        one = self._records.setdefault(verified.name, _Record())
        _forget(one, verified.version)
        one.verified[verified.version] = verified
        self._update([verified.name])

    def refuse(self, name: str, version: int, reason: str) -> None:
        """A version failed its verification."""
        one = self._records.setdefault(name, _Record())
        one.put_off.discard(version)
        one.refused[version] = without_folders(reason, self._folder)
        self._tell_refused(name, version, reason)

    def changed(self, name: str, version: int) -> bool:
        """Its folder has changed: it is to be decided again, unless a worker still serves it.

        Returns:
            whether it is to be decided again.
        """
        if (name, version) in self._running:
            return False
        if (one := self._records.get(name)) is not None:
            _forget(one, version)
            self._update([name])
        return True

    def died(self, name: str, version: int, reason: str, *, killed: bool = False, elsewhere: bool = False) -> None:
        """A worker ended while it loaded a version, or cannot load it.

        Args:
            killed: by SIGKILL.
            elsewhere: another worker serves it now.
        """
        one = self._records.get(name)
        if one is None or version not in one.verified or version in one.casualties:
            return
        deaths, kills = one.deaths.get(version, (0, 0))
        one.deaths[version] = deaths, kills = deaths + 1, kills + killed
        if is_casualty(deaths, kills, elsewhere):
            one.casualties[version] = f"no worker can serve it: {without_folders(reason, self._folder)}"
            self._tell_refused(name, version, f"no worker can serve it: {reason}")

    def loaded(self, running: Running) -> None:
        """A worker has loaded these versions: they were not the cause of earlier deaths."""
        for name, version in running:
            if (one := self._records.get(name)) is not None:
                one.deaths.pop(version, None)

    def run(self, running: Running) -> None:
        """Sets what workers serve now."""
        if running == self._running:
            return
        changed = {name for name, _ in running ^ self._running}
        self._running = running
        by_name = {name: set[int]() for name in changed}
        for name, version in running:
            if name in changed:
                by_name[name].add(version)
        self._running_of |= {name: frozenset(versions) for name, versions in by_name.items()}
        for name, listed in self.line_up.versions():
            if (name, listed.version) in running and self.served.get(name) != listed.version:
                self._tell_served(self.verified(name, listed.version))
        self._update(changed)

    def _tell_served(self, verified: VerifiedVersion) -> None:
        self.served[verified.name] = verified.version
        self.installs += 1
        verdict, place = verified.verdict, {"model": verified.name, "version": verified.version}
        counts = {"claim": verdict.claim.model_dump(), "served": verdict.served.model_dump()}
        log.info(
            "%s is served: claim %s, served %s",
            *(verified, verdict.claim, verdict.served),
            extra=event("served", **place, digest=verdict.digest, **counts, plan=verdict.plan.model_dump()),
        )
        if others := not_compared(self.known(verified.name), verified.version):
            log.info(
                "%s is not compared with older versions that have other classes: %s",
                *(verified, ", ".join(map(str, others))),
                extra=event("not_compared", **place, with_versions=list(others)),
            )
        for caveat in verdict.caveats:
            log.warning(
                "%s: %s",
                *(verified, caveat.text),
                extra=event("caveat", **place, kind=caveat.kind, reason=caveat.text),
            )

    def _tell_refused(self, name: str, version: int, reason: str) -> None:
        self.refusals += 1
        log.error(
            "%s version %d is refused: %s",
            *(name, version, reason),
            extra=event("refused", model=name, version=version, reason=reason),
        )
        self._update([name])

    def _tell_held_back(self) -> None:
        """Logs each once, and again if the reason has changed."""
        now = {(verified.name, verified.version): (verified, why) for verified, why in self.held_back()}
        for key, (verified, why) in now.items():
            if self._told_held_back.get(key) != str(why):
                log.error(
                    "%s is held back: %s; to serve it, use --allow-worse %s",
                    *(verified, why, verified.name),
                    extra=event(
                        "held_back",
                        model=verified.name,
                        version=verified.version,
                        than=why.than,
                        p_value=why.p_value,
                        claim=why.claim.model_dump(),
                        better=why.better.model_dump(),
                    ),
                )
        self._told_held_back = {key: str(why) for key, (_, why) in now.items()}

    def _update(self, names: Iterable[str]) -> None:
        """Decides these models again, and makes another line-up if that changes it."""
        for name in names:
            known = self.known(name)
            self._listed.pop(name, None)
            if (listed := model(name, known)) is not None:
                self._listed[name] = listed
            self._held_back[name] = choice(known).held_back
        models = tuple(listed for _, listed in sorted(self._listed.items()))
        if models != self.line_up.models or self._complete != self.line_up.complete:
            self.line_up = LineUp(number=self.line_up.number + 1, complete=self._complete, models=models)
            self._tell_held_back()
            self.served = {name: one for name, one in self.served.items() if name in self._listed}
            self.on_change()


def _keep_alone(record: _Record, versions: Iterable[int]) -> None:
    known = {*record.verified, *record.refused, *record.casualties, *record.deaths, *record.claimed, *record.put_off}
    for version in known - set(versions):
        _forget(record, version)


def _forget(record: _Record, version: int) -> None:
    for values in (record.verified, record.refused, record.casualties, record.deaths, record.claimed):
        values.pop(version, None)
    record.put_off.discard(version)
