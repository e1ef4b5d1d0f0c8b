import copy

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch

from vouch.trainer.judge.export import check_agreement, export
from vouch.trainer.kinds import ModelKind
from vouch.trainer.learn.networks import USUAL, Classifier, Layers
from vouch.trainer.learn.presets import PRESETS

RECIPES = sorted({(kind, Layers.of(recipe)) for (_, kind), recipe in PRESETS.items()}, key=repr)
"""What the presets train; of a cnn with its width, depth and pool."""
SHAPES = [(28, 28), (13, 10, 1), (16, 12, 3), (9, 14, 4)]


def fitted(kind: ModelKind, shape: tuple[int, ...], layers: Layers = USUAL) -> tuple[Classifier, np.ndarray]:
    """A classifier with random weights and norms that have seen images, whose channels are of different brightness;
    and images as those, with some of one colour among them."""
    torch.manual_seed(0)
    classifier = Classifier(kind, shape, 5, layers)
    channels = shape[2] if len(shape) == 3 else 1
    images = np.random.default_rng(0).integers(0, 256, (40, *shape), dtype=np.uint8)
    images = (images // np.arange(1, channels + 1)).astype(np.uint8) if len(shape) == 3 else images
    classifier.see_statistics([torch.from_numpy(images)])
    with torch.no_grad():
        classifier(torch.from_numpy(images))
    images[1], images[2], images[3, ..., :1] = 0, 255, 255
    return classifier.eval(), images


def in_float64(classifier: Classifier, images: np.ndarray) -> np.ndarray:
    """Its scores, with the normalisation and the norms as steps of their own."""
    with torch.no_grad():
        scores: np.ndarray = copy.deepcopy(classifier).double()(torch.from_numpy(images)).numpy()
    return scores


def logits(graph: bytes, images: np.ndarray) -> np.ndarray:
    session = ort.InferenceSession(graph, providers=["CPUExecutionProvider"])
    found: np.ndarray = session.run(["logits"], {"images": images})[0]
    return found


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize(("kind", "layers"), RECIPES, ids=str)
def test_a_folded_graph_is_the_network(kind: ModelKind, layers: Layers, shape: tuple[int, ...]) -> None:
    """On images of every kind, black and white ones too, up to the last bits of float32, at the border as elsewhere."""
    classifier, images = fitted(kind, shape, layers)

    expected = in_float64(classifier, images)

    found = logits(export(classifier, shape), images)
    np.testing.assert_allclose(found, expected, rtol=0, atol=5e-6 * max(1.0, np.abs(expected).max()))
    np.testing.assert_array_equal(found.argmax(axis=1), expected.argmax(axis=1))


@pytest.mark.parametrize("shape", [(28, 28), (12, 9, 3)], ids=str)
@pytest.mark.parametrize("kind", ["linear", "mlp", "cnn"])
def test_images_that_hardly_differ_are_told_apart_as_before(kind: ModelKind, shape: tuple[int, ...]) -> None:
    """Of bright pixels that vary by one, the mean is far from 0 by their scale: sums of them as they come lose bits."""
    classifier, _ = fitted(kind, shape)
    images = np.random.default_rng(1).integers(249, 252, (64, *shape), dtype=np.uint8)
    classifier.see_statistics([torch.from_numpy(images)])

    graph = export(classifier, shape, 0.05)

    assert classifier.scale.max() == 1
    np.testing.assert_allclose(0.05 * logits(graph, images), in_float64(classifier, images), rtol=0, atol=2e-5)
    assert check_agreement(classifier, graph, images, 0.05) < 1e-4


@pytest.mark.parametrize(
    ("kind", "shape", "steps"),
    [
        ("linear", (8, 8), ["Reshape", "Cast", "Gemm", "Softmax"]),
        ("mlp", (8, 8, 3), ["Reshape", "Cast", "Gemm", "Relu", "Gemm", "Relu", "Gemm", "Softmax"]),
        ("cnn", (8, 8), ["Unsqueeze", "Cast", "Sub", "Conv", "Relu"]),
        ("cnn", (8, 8, 3), ["Transpose", "Cast", "Sub", "Conv", "Relu"]),
    ],
    ids=str,
)
def test_nothing_is_computed_that_a_layer_can_do(kind: ModelKind, shape: tuple[int, ...], steps: list[str]) -> None:
    """Neither a norm nor, but for the mean before a convolution, which sees zeros around the image, a normalisation."""
    graph = onnx.load_model_from_string(export(fitted(kind, shape)[0], shape)).graph

    assert [node.op_type for node in graph.node][: len(steps)] == steps
