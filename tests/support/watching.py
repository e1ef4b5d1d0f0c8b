"""A models folder that is watched, and the results."""

import asyncio
from collections.abc import Callable
from pathlib import Path

from tests.support.tiny import verified
from vouch.bundle.store import ModelsFolder
from vouch.server.errors import Refused, Undecided
from vouch.server.lineup.verdict import Claimed, Verdict
from vouch.server.model.compared import compared
from vouch.server.supervisor.published import Published
from vouch.server.supervisor.watcher import Watcher, WatchLimits

AT_ONCE = WatchLimits(retry_s=0.05, settled_s=0.0)


class House:
    """A watcher whose verification says what the test wants; workers serve at once what they are to serve."""

    def __init__(self, path: Path, limits: WatchLimits = AT_ONCE) -> None:
        self.folder = ModelsFolder(path)
        self.published = Published(path)
        self.published.on_change = self._serve
        self.watcher = Watcher(self.folder, self.published, self, limits=limits)
        self.verified: list[int] = []
        self.refused: dict[int, str] = {}
        self.wrong_digest = False
        self.undecided = False
        self.passing: set[int] = set()
        self.held: set[str] = set()
        self.let_go = asyncio.Event()

    def _serve(self) -> None:
        self.published.run(frozenset((name, one.version) for name, one in self.published.line_up.versions()))

    async def verify(self, path: Path) -> Verdict:
        bundle = self.folder.open(path.parent.name, int(path.name))
        version = bundle.manifest.version
        self.verified.append(version)
        if bundle.manifest.name in self.held:
            await self.let_go.wait()
        if self.undecided or version in self.passing:
            raise Undecided("out of memory")
        if version in self.refused:
            raise Refused(self.refused[version])
        verdict = verified(bundle).verdict
        return verdict.model_copy(update={"digest": "0" * 64}) if self.wrong_digest else verdict

    async def claims(self, path: Path, older: tuple[int, ...]) -> tuple[Claimed, ...]:
        opened = [self.folder.open(path.parent.name, version) for version in older]
        return tuple(
            Claimed(version=one.manifest.version, claim=one.manifest.claim.accuracy, compared=compared(one))
            for one in opened
        )

    async def look(self) -> None:
        await self.watcher.look()
        await self.watcher.settled()

    async def look_until(self, holds: Callable[[], object]) -> None:
        async with asyncio.timeout(20):
            while not holds():
                await self.look()
                await asyncio.sleep(0.01)

    def served(self, name: str = "tiny") -> int:
        live = next((model.live for model in self.published.line_up.models if model.name == name), None)
        return live.version if live else 0

    def refusals(self, name: str = "tiny") -> dict[int, str]:
        models = {model.name: model for model in self.published.line_up.models}
        return {one.version: one.reason for one in models[name].refusals} if name in models else {}
