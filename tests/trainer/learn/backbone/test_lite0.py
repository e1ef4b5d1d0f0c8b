"""The network that others have trained: its table, and the two forms that are made from it."""

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from torch.nn import functional

from vouch.trainer.errors import TrainError
from vouch.trainer.learn.backbone import weights
from vouch.trainer.learn.backbone.backbone import Backbone, lite0, lite0_of
from vouch.trainer.learn.backbone.features import features, places
from vouch.trainer.learn.backbone.lite0 import EARLIER, FEATURES, GIVEN, LAST, LAYERS, Convolutions, Lite0, same_padding


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Convolutions]:
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield weights.convolutions()


def photos(*shape: int) -> np.ndarray:
    return np.random.default_rng(7).integers(0, 256, shape, dtype=np.uint8)


def test_the_table_has_the_multiplications_and_weights_of_the_paper() -> None:
    """EfficientNet-Lite0 has 407 M multiply-adds and 4.65 M weights, 1.28 M of them in the classifier left out here."""
    side, work = 224, 0
    for layer in LAYERS:
        side = -(-side // layer.stride)
        work += side * side * int(np.prod(layer.shape))

    assert round((work + 1280 * 1000) / 1e6) == 385  # those of batch norms and bends are not counted
    assert sum(int(np.prod(layer.shape)) + 2 * layer.after for layer in LAYERS) + 1281 * 1000 == 4_652_008


@pytest.mark.parametrize(
    ("side", "kernel", "stride", "padding"),
    [
        (224, 3, 2, (0, 1)),
        (225, 3, 2, (1, 1)),
        (14, 5, 2, (1, 2)),
        (14, 5, 1, (2, 2)),
        (7, 1, 1, (0, 0)),
        (1, 5, 2, (2, 2)),
    ],
)
def test_padding_is_tensorflows(side: int, kernel: int, stride: int, padding: tuple[int, int]) -> None:
    """The odd pixel goes behind: the weights were made with it there."""
    assert same_padding(side, kernel, stride) == padding


@pytest.mark.parametrize("shape", [(64, 64, 3), (97, 70, 3), (70, 65), (64, 65, 1)])
def test_the_graph_computes_what_the_network_in_pytorch_does(published: Convolutions, shape: tuple[int, ...]) -> None:
    """At any size, grey or in colour: both are made from one table."""
    images = photos(2, *shape)
    backbone = lite0_of(published, shape)
    colours = images if images.ndim == 4 else images[..., None]
    pixels = torch.from_numpy(np.repeat(colours, 3 // colours.shape[3], axis=3)).permute(0, 3, 1, 2)

    with torch.no_grad():
        expected = Lite0(published).places((pixels.float() - 127) / 128).numpy()

    assert np.abs(places(backbone, images) - expected).max() < 1e-4
    assert np.abs(features(backbone, images) - expected.mean(axis=(2, 3))).max() < 1e-4
    assert np.abs(expected).max() > 1


def test_features_are_of_the_last_layer_first_and_of_earlier_ones_with_as_many_places(published: Convolutions) -> None:
    """Five blocks end behind the last halving of the sides; so one map of places serves all features."""
    network, pixels = Lite0(published), torch.from_numpy(photos(1, 3, 64, 64)).float() / 128 - 1
    found, x, kept = list[torch.Tensor](), pixels, pixels
    with torch.no_grad():
        for layer, module in zip(LAYERS, network.layers, strict=True):
            kept = x if layer.opens else kept
            x = functional.relu6(module(x)) if layer.bends else module(x)
            x = x + kept if layer.adds else x
            found.append(x)
        given = network.places(pixels)

    assert [LAYERS[row].name for row in GIVEN] == [
        "_conv_head",
        *(f"_blocks.{number}._project_conv" for number in range(11, 16)),
    ]
    assert torch.equal(given, torch.cat([found[row] for row in GIVEN], dim=1))


def test_the_network_gives_back_the_weights_that_it_has(published: Convolutions) -> None:
    """What was fine-tuned goes into the graph by the same names."""
    network = Lite0(published)
    with torch.no_grad():
        list(network.layers.parameters())[7].add_(1)

    found = network.convolutions()

    changed = [layer.name for layer in LAYERS if (found[layer.name][1] != published[layer.name][1]).any()]
    assert changed == [LAYERS[3].name]
    assert all((found[layer.name][0] == published[layer.name][0]).all() for layer in LAYERS)


def test_a_batch_norm_is_folded_into_its_convolution() -> None:
    """The two together, in evaluation, are one convolution with a bias."""
    draw = np.random.default_rng(3)
    tensors = {"a.weight": draw.normal(size=(4, 3, 3, 3)).astype(np.float32)}
    tensors |= {f"b.{part}": draw.uniform(0.5, 2, 4).astype(np.float32) for part in weights.NORM}
    weight, bias, mean, variance = (torch.from_numpy(tensors[f"b.{part}"]) for part in weights.NORM)
    images = torch.from_numpy(draw.normal(size=(2, 3, 5, 5)).astype(np.float32))

    kernel, shift = (torch.from_numpy(part) for part in weights._folded(tensors, "a", "b"))

    unfolded = functional.conv2d(images, torch.from_numpy(tensors["a.weight"]))
    unfolded = functional.batch_norm(unfolded, mean, variance, weight, bias, eps=weights.EPSILON)
    assert torch.allclose(functional.conv2d(images, kernel, shift), unfolded, atol=1e-5)


@pytest.mark.parametrize(("shape", "said"), [((28, 28), "at least 64 x 64"), ((64, 64, 4), "4 channels")])
def test_images_that_it_does_not_take_are_refused(shape: tuple[int, ...], said: str) -> None:
    """Before its weights are read, with what to do."""
    with pytest.raises(TrainError, match=said):
        lite0(shape)


def test_its_facts_say_where_the_weights_are_from(published: Convolutions) -> None:
    """Licence, source and digest go into the manifest."""
    backbone: Backbone = lite0_of(published, (64, 64))

    assert backbone.facts.licence == "Apache-2.0"
    assert backbone.facts.weights_sha256 == weights.FILE_SHA256
    assert backbone.facts.features == FEATURES == 1280 + 4 * 192 + 320
    assert backbone.earlier == EARLIER == FEATURES - LAST
