"""What a graph is loaded with: as many images a run as their size allows."""

from pathlib import Path

import pytest

from tests.support.tiny import publish_tiny
from vouch.bundle.opening import open_bundle
from vouch.bundle.store import ModelsFolder
from vouch.server.lineup.lineup import RunPlan
from vouch.server.model import loader
from vouch.server.model.loader import load, most_images_a_run
from vouch.server.model.sessions import Sessions
from vouch.server.settings import RuntimeSettings


@pytest.mark.parametrize(
    ("shape", "settings", "images"),
    [
        ((28, 28), RuntimeSettings(), 256),
        ((64, 64, 3), RuntimeSettings(), 256),
        ((224, 224, 3), RuntimeSettings(), 55),
        ((224, 224, 3), RuntimeSettings(max_batch_size=8), 8),
        ((4096, 4096, 3), RuntimeSettings(), 1),
        ((224, 224, 3), RuntimeSettings(provider="cuda"), 256),
    ],
)
def test_large_images_are_run_in_small_batches(shape: tuple[int, ...], settings: RuntimeSettings, images: int) -> None:
    """256 photographs at once would take gigabytes in a backbone's layers, in each worker; on a GPU nothing changes."""
    assert most_images_a_run(settings, shape) == images


def test_warming_up_takes_no_more_than_serving(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The largest run is the one that calls can lead to."""
    bundle = open_bundle(publish_tiny(ModelsFolder(tmp_path)).path)
    monkeypatch.setattr(loader, "counting_batch", lambda shape: 3)
    runs: list[int] = []

    load(bundle, RuntimeSettings(), RunPlan(), runs.append)

    assert runs == [3, 1]


def test_several_runs_at_once_have_together_what_one_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of images, and so of memory; each has its part of the threads, and all of them if it is alone."""
    bundle = open_bundle(publish_tiny(ModelsFolder(tmp_path)).path)
    monkeypatch.setattr(loader, "counting_batch", lambda shape: 7)
    runs: list[int] = []

    sessions = load(bundle, RuntimeSettings(), RunPlan(threads=4, at_once=2), runs.append)

    assert isinstance(sessions, Sessions)
    threads = [one.graph.get_session_options().intra_op_num_threads for one in (sessions.alone, sessions.beside)]
    assert threads == [4, 2]
    assert runs == [3, 1, 3, 1]
