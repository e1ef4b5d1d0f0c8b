"""`--track`: what MLflow and TensorBoard are told, and what happens where they fail."""

import sys
from collections.abc import Iterator
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from math import nan
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from tests.support.tiny import publish_tiny
from vouch import commands
from vouch.bundle.opening import Bundle
from vouch.bundle.store import ModelsFolder
from vouch.trainer.learn.course import Epoch
from vouch.trainer.tracking.tracker import tracking

ADAPTER = "vouch.trainer.tracking.mlflow_log"
EPOCHS = (Epoch(0, nan, nan, 2.3, 2.2, 0.1, 0, 0.0), Epoch(1, 0.9, 0.75, 0.5, 0.4, 0.875, 100, 1.5))
NO_MLFLOW = "pip install 'vouch-onnx[mlflow]' for this test; it is not in the dev extra, which it would double"


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    return publish_tiny(ModelsFolder(tmp_path / "models"))


class Calls(list[tuple[str, tuple[Any, ...], dict[str, Any]]]):
    """What a fake module was told: name, arguments, named arguments."""

    def named(self, name: str) -> list[tuple[Any, ...]]:
        return [arguments for called, arguments, _ in self if called == name]


class FakeMlflow(ModuleType):
    """Has every function, which notes that it was called."""

    def __init__(self, calls: Calls) -> None:
        super().__init__("mlflow")
        self.__spec__ = ModuleSpec("mlflow", None)
        self.calls = calls

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)

        def note(*arguments: Any, **named: Any) -> None:
            print(f"View run at {name}")
            self.calls.append((name, arguments, named))

        return note


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Iterator[Calls]:
    """Those of a module `mlflow` that notes them, and prints as the real one does."""
    made = Calls()
    monkeypatch.setitem(sys.modules, "mlflow", FakeMlflow(made))
    monkeypatch.delitem(sys.modules, ADAPTER, raising=False)
    yield made
    sys.modules.pop(ADAPTER, None)


def follow(kind: Any, place: str, bundle: Bundle) -> None:
    """A training of two epochs, the first of which was before an interruption."""
    with tracking(kind, place, "tiny") as tracker:
        tracker.begun({"epochs": 1, "balance": False, "width": None, "recipe.augment": (1, 2)})
        tracker.epoch(EPOCHS[1])
        tracker.published(bundle, EPOCHS)


def test_mlflow_is_told_all_of_it(calls: Calls, bundle: Bundle, capsys: pytest.CaptureFixture[str]) -> None:
    """Parameters without what is not set, figures without NaN, the claim with its interval, and the bundle's files."""
    follow("mlflow", "http://tracking:5000", bundle)
    claim = bundle.manifest.claim.accuracy

    assert calls.named("set_tracking_uri") == [("http://tracking:5000",)]
    assert calls.named("log_params") == [({"epochs": 1, "balance": False, "recipe.augment": "(1, 2)"},)]
    figures = [(arguments[0], named.get("step")) for name, arguments, named in calls if name == "log_metrics"]
    assert [step for _, step in figures] == [1, 0, None]
    assert figures[0][0]["accuracy/fit"] == 0.75
    assert set(figures[1][0]) == {"loss/tune", "loss/tune_calibrated", "accuracy/tune", "seconds"}
    assert figures[2][0]["claim/accuracy"] == claim.accuracy
    assert (figures[2][0]["claim/low"], figures[2][0]["claim/high"]) == (claim.low, claim.high)
    assert calls.named("log_artifacts") == [(str(bundle.path), "bundle")]
    assert calls.named("set_tags")[0][0]["vouch.digest"] == bundle.digest
    assert calls.named("end_run") == [("FINISHED",)]
    assert capsys.readouterr().out == ""  # standard output is for the result


@pytest.mark.parametrize(("error", "ended"), [(KeyboardInterrupt, "KILLED"), (ValueError, "FAILED")])
def test_mlflow_is_told_how_a_training_ended(calls: Calls, error: type[BaseException], ended: str) -> None:
    """Interrupted is not failed; without a place, MLflow's own variables decide."""
    with pytest.raises(error), tracking("mlflow", "", "tiny"):
        raise error

    assert calls.named("end_run") == [(ended,)]
    assert calls.named("set_tracking_uri") == []


def test_a_tracker_that_fails_ends_no_training(
    calls: Calls, bundle: Bundle, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One warning, and nothing is told any more."""

    def fails(*_: Any, **__: Any) -> None:
        raise OSError("the server is gone")

    monkeypatch.setattr(sys.modules["mlflow"], "log_metrics", fails, raising=False)
    follow("mlflow", "", bundle)

    said = [line for line in capsys.readouterr().err.splitlines() if "warning" in line]
    assert said == ["warning: --track failed, and the rest of this training is not tracked: the server is gone"]
    assert calls.named("log_artifacts") == []


@pytest.mark.parametrize("track", ["mlflow", "tensorboard"])
def test_a_library_that_is_missing_is_named_before_anything_is_read(
    track: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the command that installs it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, track, None)

    assert commands.main(["train", "--track", track]) == 1
    assert capsys.readouterr().err == (
        f"error: --track {track} needs the library {track}: pip install 'vouch-onnx[{track}]'\n"
    )
    assert not (tmp_path / "models" / "digits").exists()


def test_a_place_without_a_tracker_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    """Nobody has to find out afterwards that nothing was tracked."""
    assert commands.main(["train", "--track-to", "runs"]) == 2
    assert "--track-to needs --track mlflow or --track tensorboard" in capsys.readouterr().err


def test_tensorboard_shows_all_of_it(bundle: Bundle, tmp_path: Path) -> None:
    """Read by TensorBoard itself: a point for each epoch, the claim, hyperparameters, and the card."""
    follow("tensorboard", str(tmp_path / "runs"), bundle)
    (folder,) = (tmp_path / "runs" / "tiny").iterdir()
    events = EventAccumulator(str(folder)).Reload()
    claim = bundle.manifest.claim.accuracy

    assert [(one.step, one.value) for one in events.Scalars("accuracy/fit")] == [(1, 0.75)]
    assert [one.step for one in events.Scalars("accuracy/tune")] == [1, 0]
    assert events.Scalars("claim/accuracy")[0].value == pytest.approx(claim.accuracy)
    assert events.Scalars("claim/low")[0].value == pytest.approx(claim.low)
    shown = {tag: events.Tensors(tag)[0].tensor_proto.string_val[0].decode() for tag in events.Tags()["tensors"]}
    assert shown["card/text_summary"] == "# tiny\n"
    assert bundle.digest in shown["bundle/text_summary"]
    assert "| epochs | 1 |" in shown["settings/text_summary"]
    assert "_hparams_/session_start_info" in events.summary_metadata


@pytest.mark.skipif(find_spec("mlflow") is None, reason=NO_MLFLOW)
@pytest.mark.filterwarnings("ignore")
def test_the_real_mlflow_takes_it(bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its own client finds the run, with parameters, figures, tags and the files of the bundle."""
    import mlflow  # noqa: PLC0415 - it may not be here

    monkeypatch.chdir(tmp_path)  # its files go below the working directory
    follow("mlflow", f"sqlite:///{tmp_path}/mlflow.db", bundle)
    (run,) = mlflow.MlflowClient().search_runs(["0"])
    files = {one.path for one in mlflow.MlflowClient().list_artifacts(run.info.run_id, "bundle")}

    assert (run.info.status, run.info.run_name) == ("FINISHED", "tiny")
    assert run.data.params["epochs"] == "1"
    assert run.data.metrics["claim/accuracy"] == pytest.approx(bundle.manifest.claim.accuracy.accuracy)
    assert run.data.tags["vouch.digest"] == bundle.digest
    assert files == {f"bundle/{path.name}" for path in bundle.path.iterdir()}
