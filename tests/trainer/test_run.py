import json
import os
import shutil
import signal
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import vouch.trainer.run
from vouch.bundle.array_digest import array_digest
from vouch.bundle.caveats import no_better_than_chance
from vouch.bundle.errors import BundleError
from vouch.bundle.listed import CARD, FIT_DIGESTS, MODEL, REPORT, VALIDATION
from vouch.bundle.opening import Bundle
from vouch.bundle.store import ModelsFolder
from vouch.cli.stopping import stoppable
from vouch.sources.errors import SourceError
from vouch.sources.examples import Source
from vouch.trainer.errors import TrainError
from vouch.trainer.job import Trained
from vouch.trainer.job import train as train_here
from vouch.trainer.judge.export import export
from vouch.trainer.learn.checkpoint import Checkpoint
from vouch.trainer.learn.networks import Classifier, weights_digest
from vouch.trainer.learn.presets import PRESETS
from vouch.trainer.learn.processes import Processes
from vouch.trainer.publish.label_errors import LABEL_ERRORS
from vouch.trainer.reading import read_splits
from vouch.trainer.settings import TrainSettings


def train(settings: TrainSettings) -> Trained:
    """What training in a single process comes to."""
    trained = train_here(settings)
    assert trained is not None
    return trained


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder to be in, without a settings file of somebody's."""
    with pytest.MonkeyPatch.context() as patch:
        path = tmp_path_factory.mktemp("run")
        patch.chdir(path)
        yield path


@pytest.fixture(scope="module")
def settings(folder: Path) -> TrainSettings:
    return TrainSettings(
        data="digits",
        classes="7,3",
        model="linear",
        epochs=2,
        seed=5,
        name="sevens",
        models=folder / "models",
        device="cpu",
        track="tensorboard",
        track_to=str(folder / "runs"),
    )


@pytest.fixture(scope="module")
def trained(settings: TrainSettings) -> Trained:
    """Sevens and threes, learned and published."""
    return train(settings)


def save(path: Path, **arrays: np.ndarray) -> TrainSettings:
    """The settings for training on these arrays."""
    np.savez(path, **arrays)  # type: ignore[arg-type]  # numpy's stub takes them for a flag
    return TrainSettings(data=str(path), model="linear", epochs=1, models=path.parent / "models")


def noise(count: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, 4, 4), dtype=np.uint8)


def test_a_whole_bundle_is_published(trained: Trained, settings: TrainSettings) -> None:
    """The first version of the name is there, each file as its manifest says: graph, validation split and card."""
    bundle = trained.bundle
    bundle.check_files()

    assert trained.new
    assert bundle == ModelsFolder(settings.models).open("sevens", 1)
    assert set(bundle.manifest.files) == {MODEL, VALIDATION, REPORT, CARD, FIT_DIGESTS, LABEL_ERRORS}
    assert str(bundle.manifest.claim.accuracy) in bundle.read(CARD).decode()


def test_a_training_can_be_followed_in_tensorboard(trained: Trained, settings: TrainSettings) -> None:
    """Every epoch of its history, what the recipe came to, and the claim."""
    events = EventAccumulator(str(min((Path(settings.track_to) / "sevens").iterdir()))).Reload()
    history, claim = trained.bundle.manifest.training.history, trained.bundle.manifest.claim.accuracy

    assert history is not None
    losses = [one.value for one in events.Scalars("loss/fit")]
    assert losses == pytest.approx([one for one in history.fit_loss if one is not None])
    assert events.Scalars("claim/accuracy")[0].value == pytest.approx(claim.accuracy)
    (shown,) = events.Tensors("settings/text_summary")
    assert "| epochs | 2 |" in shown.tensor_proto.string_val[0].decode()
    assert "| recipe.optimizer | " in shown.tensor_proto.string_val[0].decode()


def test_the_bundle_knows_the_images_of_fit_and_no_others(trained: Trained, digits: Source) -> None:
    """By their pixels; the validation split's are none of them."""
    known = trained.bundle.read_fit_digests()

    assert known is not None
    assert (
        known.count(digits.splits["all"].images[:]) == len(known) == trained.bundle.manifest.training.splits["fit"].size
    )
    assert known.count(trained.bundle.read_validation().images) == 0


def test_the_manifest_describes_the_model(trained: Trained) -> None:
    """Labels stand in the order that was asked for, and the input is the shape of the digits."""
    manifest = trained.bundle.manifest

    assert manifest.labels == ("7", "3")
    assert manifest.input.shape == (8, 8)
    assert manifest.task == "single_label"
    assert datetime.now(UTC) - manifest.created < timedelta(minutes=10)


def test_the_claim_can_be_recounted(trained: Trained) -> None:
    """Anybody who has the bundle alone comes to the same count: sevens and threes are easily told apart."""
    validation = trained.bundle.read_validation()
    session = ort.InferenceSession(trained.bundle.read_model(), providers=["CPUExecutionProvider"])
    (probabilities,) = session.run(["probabilities"], {"images": validation.images})
    correct = int((probabilities.argmax(axis=1) == validation.labels).sum())
    claim = trained.bundle.manifest.claim

    assert (claim.correct, claim.total) == (correct, len(validation))
    assert claim.accuracy.accuracy > 0.8


def test_two_classes_are_one_row_of_weights(trained: Trained) -> None:
    """The published graph of two classes has one weight a pixel, a single row of them."""
    initializers = onnx.load_from_string(trained.bundle.read_model()).graph.initializer
    weights = [tuple(part.dims) for part in initializers if 64 in part.dims]

    assert weights in ([(1, 64)], [(64, 1)])


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


def test_the_validation_split_is_the_one_that_was_set_aside(trained: Trained, settings: TrainSettings) -> None:
    """The images in the bundle are the validation split, and none of them was trained on."""
    splits, validation = read_splits(settings)[0], trained.bundle.read_validation()
    seen = {image.tobytes() for part in (splits.fit, splits.tune) for image in part.images}

    np.testing.assert_array_equal(validation.images, splits.validation.images)
    np.testing.assert_array_equal(validation.labels, splits.validation.labels)
    assert not seen & {image.tobytes() for image in validation.images}


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


def test_where_int8_loses_too_much_float32_is_published_with_the_reason(
    settings: TrainSettings, trained: Trained, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing is lost: the graph is what it would have been, and output, manifest and card say why."""
    torch.manual_seed(0)
    worse = export(Classifier("linear", (8, 8), 2).eval(), (8, 8))
    monkeypatch.setattr("vouch.trainer.judge.acceptance.in_int8", lambda graph, images: worse)

    found = train(settings.model_copy(update={"quantize": "int8", "name": "larger"}))

    manifest, reason = found.bundle.manifest, found.bundle.manifest.quantization_refused
    assert reason is not None
    assert "percentage points less, but --max-drop allows 1" in reason
    assert f"float32 is published, not int8: {reason} (--max-drop 100" in capsys.readouterr().err
    assert reason in found.bundle.read(CARD).decode()
    assert manifest.quantization is None
    assert manifest.files[MODEL] == trained.bundle.manifest.files[MODEL]
    assert found.serving is not None
    assert "--quantize" not in found.serving.sentence()


def test_a_graph_that_cannot_be_int8_keeps_the_fitted_weights(
    settings: TrainSettings, trained: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is published; --resume with more allowed, without int8 or without digests does not fit again."""
    asked = {"quantize": "int8", "max_drop": 100.0, "tune_share": 0.2, "name": "smaller"}  # folds are fitted anew
    quantized = settings.model_copy(update=asked)

    def refuse(*_: object) -> None:
        raise TrainError("it cannot be")

    with monkeypatch.context() as patch:
        patch.setattr("vouch.trainer.judge.exam.quantize", refuse)
        with pytest.raises(TrainError, match="it cannot be"):
            train(quantized)
    monkeypatch.setattr("vouch.trainer.learn.epochs.Fit.epoch", refuse)
    manifest = train(quantized.model_copy(update={"resume": True, "fit_digests": False})).bundle.manifest

    assert manifest.quantization
    assert FIT_DIGESTS not in manifest.files
    assert manifest.version == 1
    assert manifest.files[MODEL] != trained.bundle.manifest.files[MODEL]


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


def test_a_split_has_a_seed_of_its_own(tmp_path: Path) -> None:
    """Two trainings with other seeds are validated on the same images; without it the split begins from the seed."""
    random = np.random.default_rng(0)
    images, labels = random.integers(0, 256, (80, 4, 4), dtype=np.uint8), np.arange(80) % 2
    settings = save(tmp_path / "whole.npz", images=images, labels=labels)

    def digest(**values: int) -> str:
        return read_splits(settings.model_copy(update=values))[0].digests()["validation"]

    assert digest(seed=1, split_seed=5) == digest(seed=2, split_seed=5) == digest(seed=5)
    assert digest(seed=1) != digest(seed=2)
    assert digest(seed=3, split_seed=0) == digest(seed=0)


def test_small_classes_are_left_out_where_that_was_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Otherwise the error says that they can be."""
    random = np.random.default_rng(0)
    labels = np.array([0] * 40 + [1] * 40 + [2])
    images = random.integers(0, 256, (81, 4, 4), dtype=np.uint8)
    settings = save(tmp_path / "small.npz", images=images, labels=labels)
    with pytest.raises(TrainError, match="--leave-out-small-classes trains without such classes"):
        read_splits(settings)

    splits, _ = read_splits(settings.model_copy(update={"leave_out_small_classes": True}))

    assert splits.classes == ("0", "1")
    assert (
        "warning: left out 1 of 3 classes with too few images to be in every split (1 image in all): 2 (1 image)\n"
        in (capsys.readouterr().err)
    )


def test_seen_validation_images_need_leave(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Validation images that are in fit too stop the training, unless that was allowed; then there is a warning."""
    labels = np.arange(60) % 3
    parts = {"fit_images": noise(60, 0), "fit_labels": labels, "validation_labels": labels[:6]}
    settings = save(tmp_path / "seen.npz", validation_images=parts["fit_images"][:6], **parts)
    with pytest.raises(TrainError, match="--allow-duplicates"):
        read_splits(settings)
    capsys.readouterr()
    splits, _ = read_splits(settings.model_copy(update={"allow_duplicates": True}))

    assert len(splits.validation) == 6
    assert "\nwarning: 6 of 6 validation images are also in" in capsys.readouterr().err


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


@pytest.mark.parametrize("tune_share", [None, 0.01])
def test_what_has_not_learned_is_published_with_a_warning(settings: TrainSettings, tune_share: float | None) -> None:
    """Few images are noise and refuse nothing; what is no better than chance on validation says so."""
    hopeless = {"learning_rate": 100.0, "loss": "mse", "name": "hopeless", "tune_share": tune_share}
    manifest = train(settings.model_copy(update=hopeless)).bundle.manifest

    assert no_better_than_chance(manifest.claim)
    assert manifest.training.history.best == manifest.training.history.epochs


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
