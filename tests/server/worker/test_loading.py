"""Versions as a line-up lists them, loaded in this process."""

import asyncio
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.lineups import listed
from tests.support.tiny import publish_tiny, tiny_graph, tiny_images
from vouch.bundle.errors import InvalidBundle
from vouch.bundle.store import ModelsFolder
from vouch.server.budget import UNBOUNDED
from vouch.server.errors import ModelFailed, Refused
from vouch.server.model.session import Outputs, Session
from vouch.server.serving.served import Served
from vouch.server.settings import ServeSettings
from vouch.server.worker.loading import Loader


@pytest.fixture
async def folder(tmp_path: Path) -> ModelsFolder:
    return ModelsFolder(tmp_path / "models")


@pytest.fixture
async def loading() -> AsyncIterator[list[Served]]:
    """What a test has loaded, which is ended after it."""
    loaded: list[Served] = []
    yield loaded
    await asyncio.gather(*(one.end() for one in loaded))


def loader(folder: ModelsFolder, **changed: Any) -> Loader:
    return Loader(ServeSettings(models=folder.path, **changed), UNBOUNDED, lambda served, err: None)


async def test_a_version_is_loaded_as_its_plan_says(folder: ModelsFolder, loading: list[Served]) -> None:
    """Threads and inline images are not measured here; its runs are counted under its name."""
    bundle, ours = publish_tiny(folder), loader(folder, threads=4)
    images, labels = tiny_images(6)

    served = await ours.load("tiny", listed(bundle, threads=1, inline_images=9))
    loading.append(served)
    probabilities, _ = await served.batcher.submit(images)

    assert probabilities.argmax(axis=1).tolist() == labels.tolist()
    assert (served.plan.threads, served.plan.inline_images) == (1, 9)
    assert (served.name, served.version, served.served) == ("tiny", 1, bundle.manifest.claim.accuracy)
    assert ours.counts.of("tiny", 1) is served.statistics
    assert served.statistics.images == 6


async def test_another_bundle_than_was_verified_is_not_loaded(folder: ModelsFolder) -> None:
    """By its digest, and by what it says it is."""
    bundle = publish_tiny(folder)
    changed = listed(bundle).model_copy(update={"digest": "0" * 64})

    with pytest.raises(InvalidBundle, match="changed since it was verified"):
        await loader(folder).load("tiny", changed)
    with pytest.raises(Refused, match=r"is tiny 1; expected other 1$"):
        await loader(folder).load("other", listed(bundle))


async def test_a_graph_that_is_not_what_the_manifest_says_is_refused(folder: ModelsFolder) -> None:
    """Its files were looked at by the probe; what came since is looked at here."""
    bundle = publish_tiny(folder, graph=tiny_graph(inputs="pictures"))

    with pytest.raises(Refused, match=r"model\.onnx has inputs and outputs"):
        await loader(folder).load("tiny", listed(bundle))


async def test_loading_has_an_end(folder: ModelsFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    """A graph that never answers is given up after the time that was given."""
    bundle, held = publish_tiny(folder), threading.Event()
    run = Session.run
    monkeypatch.setattr(Session, "run", lambda session, images: held.wait(60) and run(session, images))
    ours = Loader(ServeSettings(models=folder.path), UNBOUNDED, lambda served, err: None, within_s=0.2)

    with pytest.raises(Refused, match=r"it was not loaded within 0\.2 s"):
        await ours.load("tiny", listed(bundle))
    held.set()


class Crash(BaseException):
    """What no run may raise."""


async def test_who_looks_after_a_version_is_told_that_its_runner_has_ended(
    folder: ModelsFolder, loading: list[Served], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which version it was, and by what."""
    lost: asyncio.Queue[tuple[Served, BaseException]] = asyncio.Queue()
    ours = Loader(ServeSettings(models=folder.path), UNBOUNDED, lambda *told: lost.put_nowait(told))
    served = await ours.load("tiny", listed(publish_tiny(folder)))
    loading.append(served)

    def crash(*_: object) -> Outputs:
        raise Crash

    monkeypatch.setattr(served.batcher._runs, "_model", crash)
    with pytest.raises(ModelFailed):
        await served.batcher.submit(tiny_images(1)[0])

    async with asyncio.timeout(30):
        which, err = await lost.get()
    assert which is served
    assert isinstance(err, Crash)
