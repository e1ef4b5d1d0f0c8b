import tempfile

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch

import vouch.trainer.judge.quantize
from tests.support.backbones import FEATURES, tiny_backbone, tiny_head
from vouch.bundle.training import Recipe
from vouch.trainer.errors import TrainError
from vouch.trainer.judge.export import export
from vouch.trainer.judge.graph import answers
from vouch.trainer.judge.network_graph import OPSET
from vouch.trainer.judge.quantize import in_int8, int8_features
from vouch.trainer.kinds import ModelKind
from vouch.trainer.learn.backbone.joined import joined
from vouch.trainer.learn.loop import fit
from vouch.trainer.learn.networks import Classifier, Layers
from vouch.trainer.splits.split import Splits


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


def behind_a_layer(image_shape: tuple[int, ...]) -> bytes:
    """A head on features that a quantized layer makes last, so that they are bytes themselves."""
    model = onnx.load_model_from_string(joined(tiny_backbone(image_shape, factor=0.05), tiny_head(3)))
    for node in model.graph.node:
        node.output[:] = ["mean-features" if name == "features" else name for name in node.output]
    weight = np.random.default_rng(3).normal(size=(FEATURES, FEATURES)).astype(np.float32)
    model.graph.initializer.append(onnx.numpy_helper.from_array(weight, "last"))
    at = [node.op_type for node in model.graph.node].index("Flatten") + 1
    model.graph.node.insert(at, onnx.helper.make_node("MatMul", ["mean-features", "last"], ["features"], "last"))
    return model.SerializeToString()


@pytest.mark.parametrize("last", ["mean", "layer"])
def test_features_in_int8_are_those_that_the_head_is_given(last: str) -> None:
    """Also where the last layer makes them bytes: a head that is asked with them answers as the whole graph does."""
    shape, images = (8, 8, 3), np.random.default_rng(0).integers(0, 256, (300, 8, 8, 3), dtype=np.uint8)
    graph = behind_a_layer(shape) if last == "layer" else joined(tiny_backbone(shape, factor=0.05), tiny_head(3))
    smaller = in_int8(graph, images)

    made = int8_features(graph, smaller, images)

    (head,) = ort.InferenceSession(tiny_head(3)).run(["probabilities"], {"features": made})
    np.testing.assert_allclose(head, answers(smaller, images), atol=1e-6)
    assert np.abs(head - answers(graph, images)).max() > 1e-4


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

    with pytest.raises(
        TrainError, match="none of the graph's layers can be quantized to int8.*leave out --quantize int8"
    ):
        in_int8(model.SerializeToString(), images)
    model.graph.node[1].op_type = "NoSuchOperator"
    with pytest.raises(TrainError, match="the graph cannot be quantized to int8: .*; leave out --quantize int8"):
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
