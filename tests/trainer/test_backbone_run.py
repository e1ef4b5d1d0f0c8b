"""A whole training on a backbone that takes milliseconds."""

from pathlib import Path

import numpy as np
import onnx
import pytest

from tests.support.backbones import FEATURES, tiny_backbone
from vouch.bundle.listed import CARD
from vouch.sources.images import Images
from vouch.trainer.errors import TrainError
from vouch.trainer.job import Trained, train
from vouch.trainer.judge.export import CHECKED_PHOTOS
from vouch.trainer.learn import frozen
from vouch.trainer.learn.backbone.backbone import Backbone
from vouch.trainer.learn.backbone.features import features
from vouch.trainer.learn.checkpoint import Checkpoint
from vouch.trainer.report.one_weight import MOST_IMAGES
from vouch.trainer.settings import TrainSettings

SIDE = 64


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("backbone")


@pytest.fixture(scope="module")
def settings(folder: Path) -> TrainSettings:
    """Red pictures and blue ones, and a file that makes features of them."""
    random = np.random.default_rng(0)
    images = random.integers(0, 80, (60, SIDE, SIDE, 3), dtype=np.uint8)
    labels = np.arange(60) % 2
    images[labels == 0, ..., 0] += 40
    images[labels == 1, ..., 2] += 40
    np.savez(folder / "colours.npz", images=images, labels=labels)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        (folder / "tiny.onnx").write_bytes(float_graph())
        return TrainSettings(
            data="colours.npz",
            backbone=str(folder / "tiny.onnx"),
            backbone_licence="MIT",
            models=folder / "models",
            device="cpu",
        )


def float_graph() -> bytes:
    """A convolution and a mean over all places, of float pixels."""
    model = onnx.load_model_from_string(tiny_backbone((SIDE, SIDE, 3)).graph)
    first = next(place for place, node in enumerate(model.graph.node) if node.op_type == "Conv")
    kept = list(model.graph.node)[first:]
    taken = kept[0].input[0]
    del model.graph.node[:]
    model.graph.node.extend(kept)
    del model.graph.input[:]
    model.graph.input.append(onnx.helper.make_tensor_value_info(taken, onnx.TensorProto.FLOAT, ["N", 3, SIDE, SIDE]))
    del model.graph.output[1:]
    content: bytes = model.SerializeToString()
    return content


@pytest.fixture(scope="module")
def trained(settings: TrainSettings, folder: Path) -> Trained:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        found = train(settings)
    assert found is not None
    return found


def test_the_bundle_says_whose_weights_it_holds(trained: Trained) -> None:
    """In manifest and card: the name of its file without the folder, its licence and digest, how the head was found."""
    training = trained.bundle.manifest.training
    card = (trained.bundle.path / CARD).read_text()

    assert training.backbone is not None
    assert training.head is not None
    assert (training.model, training.backbone.licence, training.backbone.features) == ("backbone", "MIT", 5)
    assert "tiny.onnx" in training.backbone.source + training.backbone.name
    assert "/" not in training.backbone.source + training.backbone.name
    assert training.head.folds == 10
    assert "the licence MIT" in card
    assert training.backbone.weights_sha256 in card


def test_it_learns_what_the_features_tell(trained: Trained) -> None:
    """Two colours are told apart, and what is claimed was counted with the joined graph."""
    assert trained.bundle.manifest.claim.accuracy.accuracy > 0.9


def test_it_repeats_to_the_byte(trained: Trained, settings: TrainSettings, folder: Path) -> None:
    """The same settings and images give the same file."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        again = train(settings)

    assert again is not None
    assert again.bundle.manifest.files["model.onnx"] == trained.bundle.manifest.files["model.onnx"]


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ({"epochs": 3}, "--epochs: does not apply to a head"),
        ({"rotation": 10.0, "colour": 0.2}, "--rotation, --colour: does not apply to a head"),
        ({"loss": "mse"}, "--loss mse"),
    ],
)
def test_what_a_head_cannot_obey_is_refused(
    settings: TrainSettings, folder: Path, words: dict[str, object], why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With what it is, not done without."""
    monkeypatch.chdir(folder)

    with pytest.raises(TrainError, match=why):
        train(settings.model_copy(update=words))


def for_one_image(graph: bytes) -> bytes:
    """The graph as an exporter writes it that was given one image and no free axis."""
    model = onnx.load_model_from_string(graph)
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 1
    model.graph.node[-1].op_type = "Reshape"
    model.graph.node[-1].input.append("row")
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.array([1, FEATURES]), "row"))
    content: bytes = model.SerializeToString()
    return content


def test_a_backbone_that_cannot_be_int8_is_refused_before_it_is_used(
    settings: TrainSettings, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a file for one image no layer can be: with what to do, and before features are made, which may take hours."""
    monkeypatch.chdir(folder)
    Path("one.onnx").write_bytes(for_one_image(float_graph()))
    monkeypatch.setattr(frozen, "features", lambda *arguments: pytest.fail("features were made"))

    with pytest.raises(TrainError, match="with a dynamic batch axis, or leave out --quantize int8"):
        train(settings.model_copy(update={"backbone": str(folder / "one.onnx"), "quantize": "int8"}))


def test_an_interrupted_training_makes_no_feature_twice(
    trained: Trained, settings: TrainSettings, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C while features are made keeps those that are there, and the same graph comes of it."""
    monkeypatch.chdir(folder)
    monkeypatch.setattr(frozen, "PIECE", 16)
    monkeypatch.setattr(Checkpoint, "due", lambda checkpoint: True)
    made = list[int]()

    def counted(backbone: Backbone, images: Images, flipped: bool = False, threads: int = 1) -> np.ndarray:
        if len(made) == 2:
            raise KeyboardInterrupt
        made.append(len(images))
        return features(backbone, images, flipped, threads)

    monkeypatch.setattr(frozen, "features", counted)
    with pytest.raises(KeyboardInterrupt):
        train(settings)
    made.append(0)  # nothing interrupts from now on
    again = train(settings.model_copy(update={"resume": True}))

    assert again is not None
    assert again.bundle.manifest.files["model.onnx"] == trained.bundle.manifest.files["model.onnx"]
    sizes = again.bundle.manifest.training.splits
    of_reports = 1 + MOST_IMAGES  # the image that the report follows, and those whose scores a reader changes
    assert sum(made) <= 2 * sizes["fit"].size + of_reports + sum(CHECKED_PHOTOS)
