from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch

from vouch.bundle.multi_label import Task
from vouch.trainer.errors import TrainError
from vouch.trainer.judge.export import check_agreement, export
from vouch.trainer.judge.network_graph import OPSET
from vouch.trainer.kinds import ModelKind
from vouch.trainer.learn.networks import USUAL, Classifier, Layers


@dataclass(frozen=True)
class Exported:
    """A classifier beside its file."""

    classifier: Classifier
    graph: bytes
    images: np.ndarray
    classes: int

    def run(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        session = ort.InferenceSession(self.graph, providers=["CPUExecutionProvider"])
        probabilities, logits = session.run(["probabilities", "logits"], {"images": images})
        return probabilities, logits


def made(
    kind: ModelKind,
    shape: tuple[int, ...],
    classes: int,
    seed: int = 0,
    task: Task = "single_label",
    layers: Layers = USUAL,
) -> tuple[Classifier, np.ndarray]:
    """A classifier with random weights that has seen these images, as training leaves it."""
    torch.manual_seed(seed)
    classifier = Classifier(kind, shape, classes, layers, task)
    images = np.random.default_rng(0).integers(0, 256, (70, *shape), dtype=np.uint8)
    classifier.see_statistics([torch.from_numpy(images)])
    with torch.no_grad():
        classifier(torch.from_numpy(images))  # in training mode, so that normalisation layers have something to know
    return classifier.eval(), images


@pytest.fixture(
    scope="module",
    params=[
        ("linear", (8, 8), 2, USUAL),
        ("mlp", (6, 5), 10, USUAL),
        ("cnn", (9, 7, 3), 3, USUAL),
        ("cnn", (16, 18), 4, Layers(16, depth=3, pool="mean")),
    ],
    ids=["linear of two", "mlp of ten", "cnn in colour", "deeper cnn"],
)
def exported(request: pytest.FixtureRequest) -> Exported:
    kind, shape, classes, layers = request.param
    classifier, images = made(kind, shape, classes, layers=layers)
    return Exported(classifier, export(classifier, shape), images, classes)


def test_the_file_is_what_the_contract_says(exported: Exported) -> None:
    """Raw pixels in, probabilities and logits out, a free batch axis, opset 20, an IR version that runtimes know."""
    model = onnx.load_from_string(exported.graph)
    session = ort.InferenceSession(exported.graph, providers=["CPUExecutionProvider"])
    (images,), outputs = session.get_inputs(), session.get_outputs()

    onnx.checker.check_model(model, full_check=True)
    assert [(opset.domain, opset.version) for opset in model.opset_import] == [("", OPSET)]
    assert model.ir_version <= 10
    assert (images.name, images.type, images.shape[1:]) == ("images", "tensor(uint8)", list(exported.images.shape[1:]))
    assert [output.name for output in outputs] == ["probabilities", "logits"]
    assert [output.type for output in outputs] == ["tensor(float)"] * 2
    assert [output.shape[1:] for output in outputs] == [[exported.classes]] * 2
    assert [isinstance(value.shape[0], str) for value in (images, *outputs)] == [True] * 3


def test_the_file_stands_alone(exported: Exported) -> None:
    """All weights are inside the one file."""
    model = onnx.load_from_string(exported.graph)

    assert all(weights.data_location == onnx.TensorProto.DEFAULT for weights in model.graph.initializer)
    assert not any(weights.external_data for weights in model.graph.initializer)
    assert exported.run(exported.images)[0].shape == (70, exported.classes)


def test_the_file_does_not_tell_where_it_was_made(exported: Exported) -> None:
    """No path, source line or stack trace is in the bytes."""
    model = onnx.load_from_string(exported.graph)
    for weights in model.graph.initializer:
        weights.ClearField("raw_data")  # numbers, in which any short text can be by chance
    text = model.SerializeToString().decode(errors="replace")
    traces = [str(Path(__file__).parents[3]), "/home/", "/root/", "/tmp/", "site-packages", ".py"]
    source = ["def forward", "self.", "stack_trace", "Traceback", "import ", "\n    "]

    assert [trace for trace in [*traces, *source] if trace in text] == []


@pytest.mark.parametrize("count", [1, 2, 3, 64])
def test_graph_and_network_agree(exported: Exported, count: int) -> None:
    """ONNX Runtime and PyTorch give the same probabilities and logits for any number of images."""
    batch = exported.images[:count]
    probabilities, logits = exported.run(batch)
    with torch.no_grad():
        expected = exported.classifier(torch.from_numpy(batch))

    assert [outputs.dtype.name for outputs in (probabilities, logits)] == ["float32"] * 2
    np.testing.assert_allclose(logits, expected.numpy(), atol=1e-4)
    np.testing.assert_allclose(probabilities, expected.softmax(dim=1).numpy(), atol=1e-5)


def test_probabilities_sum_to_one(exported: Exported) -> None:
    """Each row is a distribution over the classes, and its order is that of the logits."""
    probabilities, logits = exported.run(exported.images)

    assert probabilities.shape == (70, exported.classes)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-6)
    assert float(probabilities.min()) >= 0
    np.testing.assert_array_equal(probabilities.argmax(axis=1), logits.argmax(axis=1))


@pytest.mark.parametrize("classes", [2, 4])
def test_several_labels_have_a_probability_each(classes: int) -> None:
    """The sigmoid of the label's own score, for two labels too; the temperature is in both outputs."""
    classifier, images = made("linear", (8, 8), classes, task="multi_label")
    exported = Exported(classifier, export(classifier, (8, 8), 0.5), images, classes)
    probabilities, logits = exported.run(images)
    with torch.no_grad():
        scores = classifier(torch.from_numpy(images)).numpy()

    assert scores.shape == (70, classes)
    assert (scores[:, 0] != 0).all()
    np.testing.assert_allclose(logits, 2 * scores, atol=1e-5)
    np.testing.assert_allclose(probabilities, 1 / (1 + np.exp(-2 * scores)), atol=1e-6)
    assert check_agreement(classifier, exported.graph, images, 0.5) < 1e-5


@pytest.mark.parametrize("temperature", [0.05, 0.7, 20.0])
def test_the_temperature_is_inside(exported: Exported, temperature: float) -> None:
    """Scores are divided by it in both outputs, so that one follows from the other; no answer changes by it."""
    shape = exported.images.shape[1:]
    graph = export(exported.classifier, shape, temperature)
    cooled = Exported(exported.classifier, graph, exported.images, exported.classes)
    probabilities, logits = cooled.run(exported.images)
    before = exported.run(exported.images)
    raw = np.exp(logits - logits.max(axis=1, keepdims=True))

    np.testing.assert_allclose(logits * temperature, before[1], rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(probabilities, raw / raw.sum(axis=1, keepdims=True), atol=1e-5)
    np.testing.assert_array_equal(probabilities.argmax(axis=1), before[0].argmax(axis=1))
    assert check_agreement(exported.classifier, graph, exported.images, temperature) < 1e-5
    with pytest.raises(TrainError, match="differ from PyTorch's"):
        check_agreement(exported.classifier, graph, exported.images, 2 * temperature)


def test_extreme_pixels_have_probabilities(exported: Exported) -> None:
    """Images of black or white alone get finite probabilities."""
    black, white = np.zeros_like(exported.images[:1]), np.full_like(exported.images[:1], 255)
    probabilities, logits = exported.run(np.concatenate([black, white]))

    assert np.isfinite(probabilities).all()
    assert np.isfinite(logits).all()


def test_the_same_seed_exports_the_same_bytes() -> None:
    """Exporting twice, from two classifiers of one seed, gives one file; another seed gives another."""
    first, again, other = (made("linear", (8, 8), 3, seed)[0] for seed in (1, 1, 2))

    file = export(first, (8, 8))

    assert export(again, (8, 8)) == file
    assert export(other, (8, 8)) != file


def test_agreement_is_checked(exported: Exported) -> None:
    """A graph of the classifier's own differs by rounding alone, also where there are few images to check with."""
    assert check_agreement(exported.classifier, exported.graph, exported.images) < 1e-5
    assert check_agreement(exported.classifier, exported.graph, exported.images[:1]) < 1e-5


def test_the_graph_of_another_is_found_out(graph: bytes, noise: np.ndarray) -> None:
    """A graph whose probabilities are not the classifier's is not published; the message says by how much."""
    another, _ = made("linear", (8, 8), 10, seed=5)

    with pytest.raises(TrainError, match=r"differ from PyTorch's by [0-9.]+; nothing is published"):
        check_agreement(another, graph, noise)


def test_a_graph_of_no_numbers_is_found_out(graph: bytes, noise: np.ndarray) -> None:
    """Where a classifier answers with NaN, that is a difference too."""
    broken, _ = made("linear", (8, 8), 10)
    with torch.no_grad():
        next(broken.parameters()).fill_(float("nan"))

    with pytest.raises(TrainError, match="by nan; nothing is published"):
        check_agreement(broken, graph, noise)


def test_exporting_is_quiet(capfd: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The exporter's progress and warnings are not the user's business, and it writes no file where one is."""
    monkeypatch.chdir(tmp_path)
    export(made("linear", (3, 3), 2)[0], (3, 3))
    captured = capfd.readouterr()

    assert (captured.out, captured.err) == ("", "")
    assert list(tmp_path.iterdir()) == []
