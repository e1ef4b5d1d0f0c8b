import tempfile

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch

import vouch.trainer.judge.quantize
from tests.support.backbones import tiny_backbone, tiny_head
from vouch.bundle.quantization import Count
from vouch.bundle.training import Recipe
from vouch.sources.examples import Examples
from vouch.trainer.errors import TrainError
from vouch.trainer.judge.exam import examine
from vouch.trainer.judge.export import export
from vouch.trainer.judge.graph import answers
from vouch.trainer.judge.network_graph import OPSET
from vouch.trainer.judge.quantize import in_int8, quantize
from vouch.trainer.kinds import ModelKind
from vouch.trainer.learn.backbone.joined import joined
from vouch.trainer.learn.course import Fitted
from vouch.trainer.learn.loop import fit
from vouch.trainer.learn.networks import Classifier, Layers
from vouch.trainer.splits.split import Splits


def random_graph(splits: Splits, seed: int = 1) -> bytes:
    """A single layer that has learned nothing."""
    torch.manual_seed(seed)
    return export(Classifier("linear", (8, 8), len(splits.classes)).eval(), (8, 8))


@pytest.fixture(scope="module", params=["linear", "mlp", "cnn"])
def pair(request: pytest.FixtureRequest, splits: Splits) -> tuple[bytes, bytes]:
    """A float32 graph that knows the digits a little, and the same in int8."""
    kind: ModelKind = request.param
    torch.manual_seed(0)
    classifier = Classifier(kind, (8, 8), 10, layers=Layers(16))
    fit(classifier, splits, Recipe(epochs=3, batch_size=32, learning_rate=3e-3, optimizer="adamw"))
    graph = export(classifier, (8, 8))
    return graph, in_int8(graph, splits.fit.images)


def test_int8_answers_nearly_as_float32(pair: tuple[bytes, bytes], splits: Splits) -> None:
    """On images that settled nothing, the same answer to 98 % and nearly the same probabilities."""
    of_float, of_int8 = (answers(graph, splits.validation.images) for graph in pair)

    assert (of_float.argmax(axis=1) == of_int8.argmax(axis=1)).mean() > 0.98
    assert np.abs(of_float - of_int8).mean() < 0.02
    assert not np.array_equal(of_float, of_int8)


def test_weights_are_bytes_of_seven_bits_with_a_scale_for_every_channel(pair: tuple[bytes, bytes]) -> None:
    """Sums of two products fit into 16 bits: 2 x 255 x 64 is below 2 ** 15; no large float weights are left."""
    graph = onnx.load_model_from_string(pair[1]).graph
    arrays = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in graph.initializer}
    weights = [array for array in arrays.values() if array.dtype == np.int8 and array.ndim > 1]
    scales = [
        array for name, array in arrays.items() if array.dtype == np.float32 and array.ndim == 1 and "scale" in name
    ]

    assert weights
    assert all(np.abs(array.astype(int)).max() <= 64 for array in weights)
    assert {len(array) for array in scales} & {size for array in weights for size in array.shape}
    assert all(array.ndim < 2 or array.size == 1 for array in arrays.values() if array.dtype == np.float32)


def test_the_graph_keeps_its_contract(pair: tuple[bytes, bytes], splits: Splits) -> None:
    """Inputs, outputs, opset and operators are standard, and no batch size changes an answer."""
    model = onnx.load_model_from_string(pair[1])
    session = ort.InferenceSession(pair[1], providers=["CPUExecutionProvider"])
    images = np.resize(splits.tune.images[:], (64, 8, 8))
    singly = np.concatenate([session.run(["probabilities"], {"images": image[None]})[0] for image in images])

    assert [(entry.domain, entry.version) for entry in model.opset_import] == [("", OPSET)]
    assert {node.domain for node in model.graph.node} == {""}
    assert [entry.name for entry in session.get_inputs()] == ["images"]
    assert [entry.name for entry in session.get_outputs()] == ["probabilities", "logits"]
    assert session.get_inputs()[0].type == "tensor(uint8)"
    for size in (1, 2, 3, 64):
        (together,) = session.run(["probabilities"], {"images": images[:size]})
        np.testing.assert_allclose(together, singly[:size], atol=1e-6)


def test_the_same_images_give_the_same_bytes(graph: bytes, splits: Splits) -> None:
    """And nothing of the machine is in them."""
    one = in_int8(graph, splits.fit.images)

    assert one == in_int8(graph, splits.fit.images)
    assert tempfile.gettempdir().encode() not in one


def test_the_cost_is_a_naive_count(graph: bytes, splits: Splits) -> None:
    """What is recorded is what the two graphs answer to tune."""
    result = quantize(graph, splits.fit.images, splits.tune, max_drop=5)
    of_float, of_int8 = (answers(one, splits.tune.images).argmax(axis=1) for one in (graph, result.graph))

    assert result.facts.float_tune.correct == (of_float == splits.tune.labels).sum()
    assert result.facts.tune.correct == (of_int8 == splits.tune.labels).sum()
    assert result.facts.tune.total == len(splits.tune)
    assert result.differing == (of_float != of_int8).sum()
    assert result.facts.max_drop == 5


def test_a_graph_that_loses_too_much_is_refused(graph: bytes, splits: Splits, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message has both counts, and how to go on; a drop of just what is allowed is allowed."""
    worse = random_graph(splits)
    monkeypatch.setattr(vouch.trainer.judge.quantize, "in_int8", lambda graph, images: worse)
    of_float, of_int8 = (
        int((answers(one, splits.tune.images).argmax(axis=1) == splits.tune.labels).sum()) for one in (graph, worse)
    )
    lost = 100 * (of_float - of_int8) / len(splits.tune)

    with pytest.raises(TrainError, match=rf"{of_int8} of {len(splits.tune)} .* {of_float}: .* --max-drop") as refused:
        quantize(graph, splits.fit.images, splits.tune, max_drop=lost - 0.01)
    assert "--resume" in str(refused.value)
    assert quantize(graph, splits.fit.images, splits.tune, max_drop=lost).facts.tune.correct == of_int8


@pytest.mark.parametrize(("correct", "lost", "max_drop"), [(2989, 3, 0.1), (997, 3, 0.1), (2900, 15, 0.5)])
def test_what_is_allowed_to_the_image_is_not_refused(
    correct: int, lost: int, max_drop: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """3 of 3,000 are 0.1 percentage points, though the difference of the two accuracies is a little more in floats."""
    total = 1000 * lost if max_drop == 0.1 else 3000
    counts = iter([correct, correct - lost])
    said = np.zeros((1, 1))
    monkeypatch.setattr(vouch.trainer.judge.quantize, "in_int8", lambda graph, images: b"")
    monkeypatch.setattr(
        vouch.trainer.judge.quantize, "_count", lambda graph, tune: (Count(correct=next(counts), total=total), said)
    )

    images = np.zeros((1, 1, 1), np.uint8)
    facts = quantize(b"", images, Examples(images, np.zeros(1, np.int64)), max_drop).facts
    assert facts.points_lost == max_drop


def test_with_several_labels_whole_images_count(several: Splits) -> None:
    """Each graph is counted at the thresholds that it would get itself."""
    torch.manual_seed(0)
    classifier = Classifier("linear", (8, 8), 3, task="multi_label")
    fit(classifier, several, Recipe(epochs=2, batch_size=32, learning_rate=0.02, optimizer="sgd"))
    exam = examine(classifier, several, max_drop=5)
    assert exam.quantized

    assert exam.quantized.facts.tune.correct / exam.quantized.facts.tune.total > 0.5
    assert exam.thresholds


def test_all_that_is_said_of_the_model_is_said_of_the_int8_graph(
    fitted: tuple[Classifier, Fitted], splits: Splits
) -> None:
    """Claim, label sets and probabilities are counted on the graph that is published."""
    exam = examine(fitted[0], splits, max_drop=5)
    plain = examine(fitted[0], splits)
    probabilities = answers(exam.graph, splits.validation.images)
    assert exam.quantized

    assert exam.graph == exam.quantized.graph != plain.graph
    assert plain.quantized is None
    np.testing.assert_array_equal(exam.probabilities, probabilities)
    assert exam.claim.correct == (probabilities.argmax(axis=1) == splits.validation.labels).sum()


@pytest.mark.parametrize("shape", [(8, 8, 3), (1, 1), (5, 9, 4)])
def test_any_shape_of_images(shape: tuple[int, ...]) -> None:
    """Colour, one pixel, four channels."""
    torch.manual_seed(0)
    images = np.random.default_rng(0).integers(0, 256, (40, *shape), dtype=np.uint8)
    classifier = Classifier("cnn", shape, 3, layers=Layers(8)).eval()
    classifier.see_statistics([torch.from_numpy(images)])
    smaller = in_int8(export(classifier, shape), images)

    assert answers(smaller, images).shape == (40, 3)
    assert np.isfinite(answers(smaller, images)).all()


def test_one_image_is_enough(graph: bytes, splits: Splits) -> None:
    """However poor the ranges that it settles."""
    part = Examples(splits.tune.images[:1], splits.tune.labels[:1])

    assert quantize(graph, splits.fit.images[:1], part, max_drop=100).facts.tune.total == 1


def with_relu6(graph: bytes) -> bytes:
    """The graph with ReLU6 for its one ReLU."""
    model = onnx.load_model_from_string(graph)
    (node,) = [node for node in model.graph.node if node.op_type == "Relu"]
    node.op_type = "Clip"
    node.input.extend(["low", "high"])
    for name, at in (("low", 0.0), ("high", 6.0)):
        model.graph.initializer.append(onnx.numpy_helper.from_array(np.array(at, np.float32), name))
    return model.SerializeToString()


def test_a_backbone_is_quantized_and_its_head_is_not() -> None:
    """Its layers and their ReLU6 become bytes; the mean over places and all behind it compute as they did."""
    shape, images = (8, 8, 3), np.random.default_rng(0).integers(0, 256, (40, 8, 8, 3), dtype=np.uint8)
    whole = with_relu6(joined(tiny_backbone(shape, factor=0.05), tiny_head(3)))

    smaller = in_int8(whole, images)

    model = onnx.load_model_from_string(smaller)
    types = [node.op_type for node in model.graph.node]
    floats = {tensor.name for tensor in model.graph.initializer if tensor.data_type == onnx.TensorProto.FLOAT}
    assert types[-4:] == ["GlobalAveragePool", "Flatten", "MatMul", "Softmax"]
    assert types.count("DequantizeLinear") == 3  # pixels, the layer's weight, and what it finds
    assert "Clip" not in types
    assert {"head/weight"} <= floats
    np.testing.assert_allclose(answers(smaller, images), answers(whole, images), atol=0.02)


def test_shapes_that_a_file_claims_of_one_image_are_not_of_every_batch() -> None:
    """As a backbone's may, that was exported for a batch of 1; outputs are as they were."""
    images = np.random.default_rng(0).integers(0, 256, (12, 8, 8, 3), dtype=np.uint8)
    model = onnx.load_model_from_string(joined(tiny_backbone((8, 8, 3), factor=0.05), tiny_head(3)))
    model.graph.value_info.append(onnx.helper.make_tensor_value_info("features", onnx.TensorProto.FLOAT, [1, 5]))

    smaller = in_int8(model.SerializeToString(), images)

    assert list(onnx.load_model_from_string(smaller).graph.output) == list(model.graph.output)
    assert answers(smaller, images).shape == (12, 3)


def test_a_graph_of_which_nothing_can_be_int8_is_refused() -> None:
    """It would be called int8 and be what it was; neither is what the quantizer makes of it a traceback."""
    make, images = onnx.helper, np.zeros((4, 2, 2), np.uint8)
    nodes = [
        make.make_node("Cast", ["images"], ["floats"], to=onnx.TensorProto.FLOAT),
        make.make_node("Flatten", ["floats"], ["logits"]),
        make.make_node("Softmax", ["logits"], ["probabilities"]),
    ]
    given = make.make_tensor_value_info("images", onnx.TensorProto.UINT8, ["N", 2, 2])
    made = [make.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["N", 4]) for name in ("probabilities", "logits")]
    opset = [make.make_opsetid("", OPSET)]
    model = make.make_model(make.make_graph(nodes, "x", [given], made), opset_imports=opset, ir_version=10)

    with pytest.raises(TrainError, match="none of the graph's layers can be made int8.*leave out --quantize int8"):
        in_int8(model.SerializeToString(), images)
    model.graph.node[1].op_type = "NoSuchOperator"
    with pytest.raises(TrainError, match="the graph cannot be made int8: .*; leave out --quantize int8"):
        in_int8(model.SerializeToString(), images)


@pytest.mark.parametrize(
    ("shape", "given", "taken", "at_once"),
    [((28, 28), 9000, 4096, 64), ((224, 224, 3), 200, 64, 1), ((1024, 1024, 3), 40, 16, 1), ((8, 8), 10, 10, 256)],
)
def test_what_settles_ranges_is_bounded(shape: tuple[int, ...], given: int, taken: int, at_once: int) -> None:
    """By pixels, of all together and of a run, because every layer's values of a run are held; spread over all."""
    images = np.broadcast_to(np.zeros(1, np.uint8), (given, *shape))
    reader = vouch.trainer.judge.quantize._Batches(images)
    read: list[np.ndarray] = []
    while (batch := reader.get_next()) is not None:
        read.append(batch["images"])

    assert sum(map(len, read)) == taken
    assert max(map(len, read)) == min(at_once, taken)
