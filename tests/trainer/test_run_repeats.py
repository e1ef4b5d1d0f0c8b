import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import vouch.trainer.run
from tests.support.runs import folder, settings, train, trained
from vouch.bundle.array_digest import array_digest
from vouch.bundle.listed import CARD, MODEL, REPORT, VALIDATION
from vouch.trainer.job import Trained
from vouch.trainer.learn.networks import Classifier, weights_digest
from vouch.trainer.learn.presets import PRESETS
from vouch.trainer.learn.processes import Processes
from vouch.trainer.reading import read_splits
from vouch.trainer.settings import TrainSettings

__all__ = ["folder", "settings", "trained"]


def test_the_manifest_tells_how_to_repeat_it(trained: Trained, settings: TrainSettings) -> None:
    """Settings, recipe, seed, data, splits, libraries and the course of the training are recorded."""
    training = trained.bundle.manifest.training
    splits, _ = read_splits(settings)

    assert (training.data, training.seed) == ("digits", 5)
    assert training.recipe
    assert (training.recipe.epochs, training.recipe.threads) == (2, 1)
    assert (training.model, training.asked["classes"]) == ("linear", "7,3")
    assert training.history.epochs == 2
    assert training.history.best in (0, 1, 2)
    assert {name: (part.size, part.digest) for name, part in training.splits.items()} == {
        name: (len(part), splits.digests()[name]) for name, part in splits.by_name.items()
    }
    assert training.libraries["torch"] == torch.__version__
    assert training.seconds > 0


def test_training_repeats(trained: Trained, settings: TrainSettings, capsys: pytest.CaptureFixture[str]) -> None:
    """The same settings give the next version with the same graph and validation split, byte for byte."""
    again = train(settings).bundle
    said = capsys.readouterr()

    assert again.manifest.version == trained.bundle.manifest.version + 1
    assert again.read(MODEL) == trained.bundle.read(MODEL)
    assert b"The first step of this run" in again.read(REPORT)  # which was made before the interruption
    assert again.read(VALIDATION) == trained.bundle.read(VALIDATION)
    assert again.manifest.claim == trained.bundle.manifest.claim
    assert "read 362 images: 2 classes (7: 179, 3: 183), 8 x 8 pixels, grey, values 0 to 255\n" in said.err
    assert "\nsplits: 289 fit, 73 validation\n" in said.err
    assert "the images are unchanged" in said.err
    assert "the weights are not" in said.err
    assert said.out == ""


def test_a_cnn_repeats_too(tmp_path: Path) -> None:
    """Convolutions in several threads, augmentation and all: the same graph, byte for byte."""
    settings = TrainSettings(model="cnn", epochs=1, batch_size=256, models=tmp_path, device="cpu", threads=2)

    assert train(settings).bundle.read(MODEL) == train(settings).bundle.read(MODEL)


def test_the_digest_is_of_all_weights() -> None:
    """The digest changes with any single weight and is otherwise the same."""
    torch.manual_seed(0)
    classifier = Classifier("linear", (3, 3), classes=3)
    before = weights_digest(classifier)
    parameters = [weights.detach().numpy() for weights in classifier.parameters()]
    same = weights_digest(classifier)
    parameters[1][2] += 1

    assert before == same == array_digest(parameters[0], parameters[1] - np.eye(3, dtype=np.float32)[2])
    assert weights_digest(classifier) != before


def test_the_recorded_recipe_is_repeated(
    trained: Trained, settings: TrainSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where this version's recipes have become others: what was done is what is done again."""
    other = replace(PRESETS["digits", "linear"], learning_rate=1e-6)
    monkeypatch.setitem(PRESETS, ("digits", "linear"), other)
    again = train(settings.model_copy(update={"like": trained.bundle.path})).bundle

    assert again.read(MODEL) == trained.bundle.read(MODEL)
    assert again.manifest.training.recipe
    assert again.manifest.training.recipe.learning_rate > 1e-3


def test_a_setting_that_the_bundle_does_not_know_yet_changes_nothing(
    trained: Trained, settings: TrainSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bundle from before `--balance` is repeated by its recorded recipe, not by this version's in silence."""
    older = tmp_path / "older"
    shutil.copytree(trained.bundle.path, older)
    content = json.loads((older / "manifest.json").read_text())
    del content["training"]["asked"]["balance"], content["training"]["recipe"]["balance"]
    (older / "manifest.json").write_text(json.dumps(content))
    monkeypatch.setitem(PRESETS, ("digits", "linear"), replace(PRESETS["digits", "linear"], learning_rate=1e-6))

    again = train(settings.model_copy(update={"like": older, "models": tmp_path / "models"})).bundle

    assert again.read(MODEL) == trained.bundle.read(MODEL)


def test_like_keeps_the_recorded_recipe_under_another_seed(
    settings: TrainSettings, trained: Trained, capsys: pytest.CaptureFixture[str]
) -> None:
    """The recipe changes with what it is made of alone, and then that is said."""
    like = settings.model_copy(update={"like": trained.bundle.path, "seed": 6, "name": "alike"})
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(PRESETS, ("digits", "linear"), replace(PRESETS["digits", "linear"], learning_rate=1e-6))
        kept = train(like).bundle.manifest.training.recipe
        before = capsys.readouterr().err
        other = train(like.model_copy(update={"epochs": 3})).bundle.manifest.training.recipe
    recorded = trained.bundle.manifest.training.recipe

    assert kept
    assert recorded
    assert other
    assert kept == replace(recorded, seed=6)
    assert "today's" not in before
    assert (other.epochs, other.learning_rate) == (3, 1e-6)
    assert "using the current recipe" in capsys.readouterr().err


def test_how_it_ran_is_recorded(trained: Trained) -> None:
    """Processes, threads, device, torch and the processor decide the bytes too."""
    where = trained.bundle.manifest.training.circumstances

    assert (where.processes, where.threads, where.device, where.deterministic) == (1, 1, "cpu", True)
    assert (where.torch, where.precision) == (torch.__version__, "float32")
    assert where.processor
    assert where.flags is not None


@pytest.mark.parametrize(("others_gain", "expected"), [(True, "bfloat16"), (False, "float32")])
def test_numbers_of_steps_follow_from_the_processors_of_all_processes(
    settings: TrainSettings,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    others_gain: bool,
    expected: str,
) -> None:
    """Recorded, said and on the card; --like repeats them on any processor, unless a flag says otherwise."""
    monkeypatch.setattr(vouch.trainer.run, "flags_of", lambda _: ("amx_bf16", "avx512f"))
    if not others_gain:  # of one with other instructions
        monkeypatch.setattr(Processes, "least", lambda _, value: 0.0 if value <= 1 else value)
    asked = {"model": "cnn", "width": 16, "epochs": 1, "name": f"gain-{others_gain}".lower()}

    bundle = train(settings.model_copy(update=asked)).bundle
    monkeypatch.undo()

    training = bundle.manifest.training
    assert training.recipe
    assert (training.recipe.precision, training.circumstances.precision) == (expected, expected)
    assert f", in {expected}: " in capsys.readouterr().err
    assert ("bfloat16" in bundle.read(CARD).decode()) == (expected == "bfloat16")

    again = {"like": bundle.path, "name": "again"}
    assert train(settings.model_copy(update=asked | again)).bundle.read(MODEL) == bundle.read(MODEL)
    other = train(settings.model_copy(update=asked | again | {"precision": "float32"})).bundle
    assert (other.read(MODEL) == bundle.read(MODEL)) == (expected == "float32")
