from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from tests.support.runs import folder, noise, save, settings, train, trained
from vouch.bundle.caveats import no_better_than_chance
from vouch.bundle.listed import CARD, FIT_DIGESTS, MODEL, REPORT, VALIDATION
from vouch.bundle.store import ModelsFolder
from vouch.sources.examples import Source
from vouch.trainer.errors import TrainError
from vouch.trainer.job import Trained
from vouch.trainer.judge.export import export
from vouch.trainer.learn.networks import Classifier
from vouch.trainer.publish.label_errors import LABEL_ERRORS
from vouch.trainer.reading import read_splits
from vouch.trainer.settings import TrainSettings

__all__ = ["folder", "settings", "trained"]


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


def test_the_validation_split_is_the_one_that_was_set_aside(trained: Trained, settings: TrainSettings) -> None:
    """The images in the bundle are the validation split, and none of them was trained on."""
    splits, validation = read_splits(settings)[0], trained.bundle.read_validation()
    seen = {image.tobytes() for part in (splits.fit, splits.tune) for image in part.images}

    np.testing.assert_array_equal(validation.images, splits.validation.images)
    np.testing.assert_array_equal(validation.labels, splits.validation.labels)
    assert not seen & {image.tobytes() for image in validation.images}


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


@pytest.mark.parametrize("tune_share", [None, 0.01])
def test_what_has_not_learned_is_published_with_a_warning(settings: TrainSettings, tune_share: float | None) -> None:
    """Few images are noise and refuse nothing; what is no better than chance on validation says so."""
    hopeless = {"learning_rate": 100.0, "loss": "mse", "name": "hopeless", "tune_share": tune_share}
    manifest = train(settings.model_copy(update=hopeless)).bundle.manifest

    assert no_better_than_chance(manifest.claim)
    assert manifest.training.history.best == manifest.training.history.epochs
