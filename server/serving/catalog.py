"""The table that services read: what is served under each name and version, and what is known of the rest.

A line-up states what is published and what to serve, and is known immediately. Its versions are served as they are
loaded. A version is leased for the time of a call. A swap changes the table immediately, but a removed version ends
only after its last lease, so a call never loses its model.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass

from vouch.cli.nearest import did_you_mean
from vouch.server.errors import DomainError, NotReady, UnknownModel
from vouch.server.lineup.lineup import LineUp, Model, Refusal, Version
from vouch.server.lineup.route import listed, unnamed
from vouch.server.serving.served import Served

log = logging.getLogger("vouch.server")

LONGEST_NAME = 63
COMPARED = 100
"""Most models that an unknown name is compared with: about a millisecond, which callers can cause at will."""


@dataclass(frozen=True)
class Entry:
    """All that is known of a model now."""

    name: str
    served: Served | None
    """The version that answers if a call names none."""
    versions: tuple[Served, ...]
    """All versions that answer if named, ascending, including `served`."""
    refusals: tuple[Refusal, ...]
    """Versions not served because they failed their verification, or cannot be loaded here, ascending."""
    verifying: tuple[int, ...]
    """Versions that are being verified, or wait for it, ascending."""
    loading: tuple[int, ...]
    """Versions to serve that are being loaded, or wait for it, ascending."""


class Catalog:
    """Models by name, their versions by number. Belongs to one event loop."""

    def __init__(self, on_change: Callable[[], None] = lambda: None, default_model: str = "") -> None:
        """
        Args:
            on_change: called when another version, or none, answers for a model.
            default_model: the model for calls that name none; empty for the only published one.
        """
        self._on_change = on_change
        self._default_model = default_model
        self.generation = 0
        """Changes whenever a call may be answered by another version than before."""
        self._known = False
        self._models: dict[str, Model] = {}
        self._loaded: dict[str, dict[int, Served]] = {}
        self._live: dict[str, Served] = {}
        self._problems: dict[tuple[str, int, str], str] = {}
        self._retiring: set[asyncio.Task[None]] = set()

    @property
    def ready(self) -> bool:
        """Whether at least one model is served."""
        return bool(self._live)

    def entries(self) -> list[Entry]:
        """All published models, by name."""
        return [self._entry(name) for name in sorted(self._models)]

    def entry(self, name: str) -> Entry:
        """One model.

        Args:
            name: empty for the default model.

        Raises:
            UnknownModel: no model of this name is published.
            NotReady: it is not known yet what is published, or nothing is published.
            InvalidRequest: no name, and several are published.
        """
        asked = name or self._unnamed()
        if asked not in self._models:
            raise self._unknown(asked, name)
        return self._entry(asked)

    def find(self, name: str, version: int = 0) -> Served:
        """The version that answers now.

        Args:
            name: empty for the default model.
            version: 0 for the live one.

        Raises:
            UnknownModel: no such model or version is published.
            NotReady: it is not known yet what is published, or the version is not served yet.
            InvalidRequest: no name, and several are published.
        """
        asked = name or self._unnamed()
        found = self._loaded.get(asked, {}).get(version) if version else self._live.get(asked)
        if found is not None:
            return found
        if asked not in self._models:
            raise self._unknown(asked, name)
        raise self._not_served(self._entry(asked), version) if self._known else _nothing_known()

    def follow(self, line_up: LineUp) -> None:
        """Takes a line-up's facts immediately: what is published, refused and being verified, and what is live.

        Versions that are no longer listed are removed, except one that answers until the live one is loaded.
        """
        self._known = line_up.complete
        self._models = {model.name: model for model in line_up.models}
        still = {(name, one.version, one.digest) for name, one in line_up.versions()}
        self._problems = {key: why for key, why in self._problems.items() if key in still}
        for name in [*self._loaded]:
            self._settle(name)
        self._changed()

    def lacks(self, name: str, version: Version) -> bool:
        """Whether a version is to be served and is not served yet."""
        loaded = self._loaded.get(name, {}).get(version.version)
        return self.lists(name, version) and (loaded is None or loaded.identity != (version.version, version.digest))

    def lists(self, name: str, version: Version) -> bool:
        """Whether a version is still to be served."""
        model = self._models.get(name)
        return model is not None and (version.version, version.digest) in _identities(model)

    def install(self, served: Served) -> None:
        """Serves a version of the line-up; a version that it replaces ends after its last call."""
        model = self._models.get(served.name)
        assert model is not None, f"{served.name} is not published"
        assert served.identity in _identities(model), f"{served.bundle} is not to be served"
        versions = self._loaded.setdefault(served.name, {})
        before, versions[served.version] = versions.get(served.version), served
        if before is not None and self._live.get(served.name) is before:
            self._live[served.name] = served
        self._problems.pop((served.name, *served.identity), None)
        self._settle(served.name)
        if before is not None:
            self._retire(before)
        self._changed()

    def not_loaded(self, name: str, version: Version, reason: str) -> None:
        """Stores why a listed version is not served here, as long as it is listed.

        Args:
            reason: for callers: it contains no folder of this machine.
        """
        self._problems[name, version.version, version.digest] = reason

    def withdraw(self, served: Served, reason: str) -> None:
        """Removes a version that can no longer answer; callers get the reason."""
        versions = self._loaded.get(served.name, {})
        if versions.get(served.version) is not served:
            return
        log.error("%s is withdrawn: %s", served.bundle, reason)
        del versions[served.version]
        if self._live.get(served.name) is served:
            del self._live[served.name]
        self._problems[served.name, served.version, served.bundle.digest] = reason
        self._settle(served.name)
        self._retire(served)
        self._changed()

    async def close(self) -> None:
        """Ends all versions after their calls."""
        ending = [served.end() for versions in self._loaded.values() for served in versions.values()]
        await asyncio.gather(*ending, *self._retiring)

    def _entry(self, name: str) -> Entry:
        model = self._models[name]
        why = {one.version: one for one in model.refusals}
        for (of, version, _), reason in self._problems.items():
            if of == name:
                why[version] = Refusal(version=version, reason=reason)
        versions = self._loaded.get(name, {})
        return Entry(
            name,
            self._live.get(name),
            versions=tuple(versions[one] for one in sorted(versions)),
            refusals=tuple(why[version] for version in sorted(why)),
            verifying=model.verifying,
            loading=tuple(one.version for one in model.versions if self.lacks(name, one) and one.version not in why),
        )

    def _settle(self, name: str) -> None:
        """Finds a model's live version, and removes those that are neither listed nor answer until one is loaded."""
        model = self._models.get(name)
        versions = self._loaded[name]
        by_identity = {one.identity: one for one in versions.values()}
        live = model.live if model is not None else None
        if live is None:
            self._live.pop(name, None)
        elif (found := by_identity.get((live.version, live.digest))) is not None:
            self._live[name] = found
        wanted = _identities(model) if model is not None else {}
        for one in by_identity.values():
            if one.identity in wanted:
                one.role = wanted[one.identity].role
            elif self._live.get(name) is not one:
                del versions[one.version]
                self._retire(one)
        if not versions:
            del self._loaded[name]

    def _retire(self, served: Served) -> None:
        task = asyncio.get_running_loop().create_task(served.end(), name=f"end {served.bundle}")
        self._retiring.add(task)
        task.add_done_callback(self._retiring.discard)

    def _changed(self) -> None:
        self.generation += 1
        self._on_change()

    def _unnamed(self) -> str:
        if not self._known and not self._default_model:
            raise _nothing_known()
        return unnamed(self._models.keys(), self._default_model)

    def _unknown(self, asked: str, name: str) -> DomainError:
        """
        Args:
            asked: the unknown model.
            name: the name in the call; empty if the default was used.
        """
        if not self._known:
            return _nothing_known()
        shown = asked if len(asked) <= LONGEST_NAME else asked[:LONGEST_NAME] + "..."
        whose = "" if name else ", the default of this server (--default-model)"
        meant = did_you_mean(asked, sorted(self._models)[:COMPARED])
        return UnknownModel(f"there is no model {shown!r}{whose}{meant or f'; there {listed(self._models)}'}")

    def _not_served(self, entry: Entry, version: int) -> DomainError:
        """The reason why a version of a published model does not answer; version 0 for the live one."""
        model = self._models[entry.name]
        why = {one.version: one.reason for one in entry.refusals}
        served = {one.version for one in model.versions} | {one.version for one in entry.versions}
        if version and served and version not in {*served, *entry.verifying}:
            numbers = ", ".join(map(str, sorted(served)))
            others = f"versions {numbers} are" if len(served) > 1 else f"version {numbers} is"
            return UnknownModel(f"version {version} of model {entry.name} is not served; {others}")
        what = f"version {version} of model {entry.name}" if version else f"model {entry.name}"
        if version in why:
            return NotReady(f"{what} is not served: {why[version]}")
        if entry.loading if not version else version in entry.loading:
            return NotReady(f"{what} is being loaded; it is not served yet")
        if entry.verifying:
            return NotReady(f"{what} is being verified; no version of it is served yet")
        reason = f": {why[max(why)]}" if why else " yet"
        return NotReady(f"no version of model {entry.name} is served{reason}")


def _identities(model: Model) -> dict[tuple[int, str], Version]:
    return {(one.version, one.digest): one for one in model.versions}


def _nothing_known() -> NotReady:
    return NotReady("it is not known yet which models are published; try again in a moment")
