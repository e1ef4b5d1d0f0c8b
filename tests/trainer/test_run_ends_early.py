import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.support.runs import folder, noise, save, settings, train, trained
from vouch.bundle.errors import BundleError
from vouch.bundle.listed import MODEL, REPORT
from vouch.bundle.opening import Bundle
from vouch.bundle.store import ModelsFolder
from vouch.cli.stopping import stoppable
from vouch.sources.errors import SourceError
from vouch.trainer.errors import TrainError
from vouch.trainer.job import Trained
from vouch.trainer.learn.checkpoint import Checkpoint
from vouch.trainer.settings import TrainSettings

__all__ = ["folder", "settings", "trained"]


def test_an_interrupted_training_goes_on(
    trained: Trained, settings: TrainSettings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Ctrl-C says how to go on; with `resume` the same graph comes of it, and the checkpoint is gone."""
    save, state = Checkpoint.save, {"count": 0}

    def save_and_interrupt(checkpoint: Checkpoint, fit: dict[str, Any], done: str) -> None:
        save(checkpoint, fit, done)
        state["count"] += 1
        if state["count"] == 1:
            raise KeyboardInterrupt

    monkeypatch.setattr(Checkpoint, "save", save_and_interrupt)
    monkeypatch.setattr(Checkpoint, "due", lambda checkpoint: True)
    with pytest.raises(KeyboardInterrupt):
        train(settings)
    said = capsys.readouterr().err
    again = train(settings.model_copy(update={"resume": True})).bundle

    assert "interrupted: 0 of 2 epochs and 1 of the " in said
    assert " steps of the next are kept; continue with the same command and --resume" in said
    assert "resuming from" in capsys.readouterr().err
    assert state["count"] > 2
    assert again.read(MODEL) == trained.bundle.read(MODEL)
    assert b"The first step of this run" in again.read(REPORT)  # which was made before the interruption
    assert not list((settings.models / "sevens").glob(".training*"))


def test_an_interruption_before_the_first_epoch_keeps_nothing_and_says_so(
    settings: TrainSettings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also where it comes while the first checkpoint is written."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(torch, "save", interrupt)
    with pytest.raises(KeyboardInterrupt):
        train(settings.model_copy(update={"name": "nothing"}))

    assert "interrupted before anything could be kept: there is nothing to resume" in capsys.readouterr().err
    assert not (settings.models / "nothing").exists()


def test_an_interruption_while_it_is_published_comes_too_late(
    settings: TrainSettings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The version is there and told of, and nothing is kept to go on from."""
    publish = ModelsFolder.publish

    def publish_and_interrupt(*given: Any) -> Bundle:
        os.kill(os.getpid(), signal.SIGINT)
        bundle = publish(*given)
        os.kill(os.getpid(), signal.SIGTERM)
        return bundle

    monkeypatch.setattr(ModelsFolder, "publish", publish_and_interrupt)
    with stoppable():
        published = train(settings.model_copy(update={"name": "late", "epochs": 1}))

    assert published.bundle.path.is_dir()
    assert "interrupted" not in capsys.readouterr().err
    assert ModelsFolder(settings.models).versions("late") == [1]


def test_what_others_left_unfinished_is_removed_and_said(
    settings: TrainSettings, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line for what was being written, one for checkpoints of long ago; nothing else in the folder is touched."""
    folder = settings.models / "others"
    (folder / ".staging-1234").mkdir(parents=True)
    for name in (".training-12.34.tmp", ".training-0123456789abcdef.pt", ".training-young.pt", "notes.tmp"):
        (folder / name).write_text("half")
    (settings.models / "never").mkdir()
    (settings.models / "never" / ".training-56.78.tmp").write_text("half")
    os.utime(folder / ".training-0123456789abcdef.pt", (0, 0))

    train(settings.model_copy(update={"name": "tidy", "epochs": 1}))

    said = capsys.readouterr().err
    assert sorted(path.name for path in folder.iterdir()) == [".training-young.pt", "notes.tmp"]
    assert f"trainings that no longer run: {folder}/.staging-1234, " in said
    assert f"{folder}/.training-12.34.tmp" in said
    assert not (settings.models / "never").exists()
    assert f"were not resumed for 30 days: {folder}/.training-0123456789abcdef.pt\n" in said


def test_nothing_to_resume_is_said(settings: TrainSettings, capsys: pytest.CaptureFixture[str]) -> None:
    """Then it begins from the start, so that a job may always be started with --resume."""
    train(settings.model_copy(update={"resume": True, "epochs": 1}))

    assert "starting from the beginning" in capsys.readouterr().err


def test_what_is_there_is_not_trained_again(trained: Trained, settings: TrainSettings) -> None:
    """With `if_absent`, the latest version that is there is handed back, and none is added."""
    before = ModelsFolder(settings.models).versions("sevens")
    found = train(settings.model_copy(update={"if_absent": True, "data": "/nowhere.npz"}))

    assert not found.new
    assert found.bundle == ModelsFolder(settings.models).latest("sevens")
    assert ModelsFolder(settings.models).versions("sevens") == before
    assert trained.bundle.path.is_dir()


def test_a_broken_version_is_no_reason_to_train_again_where_another_is_there(
    trained: Trained, settings: TrainSettings
) -> None:
    """A server serves the one below; the batch job that is started with it must not fail."""
    broken = trained.bundle.path.parent / "99"
    broken.mkdir()
    try:
        found = train(settings.model_copy(update={"if_absent": True, "data": "/nowhere.npz"}))
    finally:
        broken.rmdir()

    assert not found.new
    assert found.bundle.manifest.version < 99


def test_a_folder_that_cannot_be_written_is_found_out_first(folder: Path) -> None:
    """Before any data is read, it is known that the result could not be published."""
    (folder / "file").write_text("hello")
    settings = TrainSettings(data="/nowhere.npz", models=folder / "file" / "models")

    with pytest.raises(BundleError, match="cannot be written"):
        train(settings)


@pytest.mark.parametrize(("data", "classes"), [("/nowhere.npz", ""), ("digits", "3,eleven")])
def test_data_that_cannot_be_read_leaves_nothing(tmp_path: Path, data: str, classes: str) -> None:
    """Where the data is missing, or lacks a class, nothing of a model appears in the models folder."""
    with pytest.raises(SourceError):
        train(TrainSettings(data=data, classes=classes, models=tmp_path / "models"))

    assert list((tmp_path / "models").iterdir()) == []


def test_a_training_that_fails_leaves_nothing(tmp_path: Path) -> None:
    """Where training fails, nothing of a model appears in the models folder."""
    settings = save(tmp_path / "noise.npz", images=noise(60, 0), labels=np.arange(60) % 3)

    with pytest.raises(TrainError, match="at least 2 images"):
        train(settings.model_copy(update={"model": "mlp", "batch_size": 1}))

    assert list((tmp_path / "models").iterdir()) == []
