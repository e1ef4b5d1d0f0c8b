import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from torch import Tensor

from vouch.bundle.array_digest import array_digest
from vouch.bundle.training import Pool
from vouch.trainer.kinds import ModelKind
from vouch.trainer.learn.networks import Classifier, Layers, Linear, cnn, depth_for

KINDS: tuple[ModelKind, ...] = ("linear", "mlp", "cnn")
SHAPES = st.tuples(st.integers(2, 5), st.integers(1, 4), st.integers(1, 4), st.integers(1, 4))


def made(kind: ModelKind, shape: tuple[int, ...], classes: int, seed: int = 0) -> Classifier:
    """A classifier as it is before training, ready to answer."""
    torch.manual_seed(seed)
    return Classifier(kind, shape, classes).eval()


def images(count: int, shape: tuple[int, ...], seed: int = 0) -> Tensor:
    return torch.from_numpy(np.random.default_rng(seed).integers(0, 256, (count, *shape), dtype=np.uint8))


def weights(classifier: Classifier) -> list[Tensor]:
    return [parameter.detach() for parameter in classifier.parameters()]


@given(arrays(np.int8, (3, 2, 4), elements=st.integers(-9, 9)), st.data())
def test_linear_is_a_product_and_a_sum(x: np.ndarray, data: st.DataObject) -> None:
    """Each image is flattened and gives exactly x @ w.T + b: whole numbers come out to the last digit."""
    w = data.draw(arrays(np.int8, (5, 8), elements=st.integers(-9, 9)))
    b = data.draw(arrays(np.int8, 5, elements=st.integers(-9, 9)))
    layer = Linear(8, 5)
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(w))
        layer.bias.copy_(torch.from_numpy(b))
    scores = layer(torch.from_numpy(x).float())

    by_hand = [[sum(int(p) * int(q) for p, q in zip(image.flat, row, strict=True)) for row in w] for image in x]
    assert scores.tolist() == (np.array(by_hand) + b).tolist()


@pytest.mark.parametrize("kind", KINDS)
def test_weights_are_drawn_at_random(kind: ModelKind) -> None:
    """The weights before training depend on the seed alone: another seed, other weights; the same, the same."""
    first, again, other = (array_digest(*map(np.asarray, weights(made(kind, (8, 8), 3, seed)))) for seed in (1, 1, 2))

    assert first == again
    assert first != other


def test_random_weights_are_no_two_alike() -> None:
    """Every weight and every bias of the single layer is drawn for itself."""
    weight, bias = weights(made("linear", (8, 8), 10))

    assert len(weight.unique()) == weight.numel()
    assert len(bias.unique()) == bias.numel()


@pytest.mark.parametrize(
    ("kind", "shape", "classes", "parameters"),
    [
        ("linear", (28, 28), 10, 28 * 28 * 10 + 10),
        ("linear", (28, 28), 2, 28 * 28 + 1),
        ("linear", (9, 7, 3), 4, 9 * 7 * 3 * 4 + 4),
        ("mlp", (28, 28), 10, 784 * 512 + 512 + 2 * 512 + 512 * 256 + 256 + 2 * 256 + 256 * 10 + 10),
        ("mlp", (8, 8), 2, 64 * 512 + 512 + 2 * 512 + 512 * 256 + 256 + 2 * 256 + 256 + 1),
        ("cnn", (28, 28), 10, 98_298),
        ("cnn", (64, 48), 10, 98_298),
        ("cnn", (28, 28, 3), 10, 98_298 + 2 * 16 * 25),
        ("cnn", (28, 28), 2, 98_298 - 9 * 65),
    ],
)
def test_the_number_of_weights(kind: ModelKind, shape: tuple[int, ...], classes: int, parameters: int) -> None:
    """Each network has exactly the weights that its description says."""
    assert sum(weight.numel() for weight in weights(made(kind, shape, classes))) == parameters


@pytest.mark.parametrize("kind", KINDS)
def test_two_classes_have_one_output(kind: ModelKind) -> None:
    """With two classes the last layer is a single row of weights with a single bias."""
    *_, last_weight, last_bias = weights(made(kind, (8, 8), classes=2))

    assert last_weight.shape[0] == 1
    assert last_bias.shape == (1,)


@pytest.mark.parametrize("kind", KINDS)
def test_the_sign_of_the_logit_is_the_answer(kind: ModelKind) -> None:
    """Of two classes the second is the answer exactly where the logit is positive, with sigmoid as its probability."""
    seen = images(200, (8, 8))
    classifier = made(kind, (8, 8), classes=2)
    classifier.see_statistics([seen])
    with torch.no_grad():
        list(classifier.parameters())[-1].sub_(classifier(seen)[:, 1].median())  # some on either side
        logits = classifier(seen)
    answers, logit = logits.softmax(dim=1), logits[:, 1]

    assert logits.shape == (200, 2)
    assert logits[:, 0].tolist() == [0.0] * 200
    assert torch.equal(answers.argmax(dim=1) == 1, logit > 0)
    assert 0 < int((logit > 0).sum()) < 200
    torch.testing.assert_close(answers[:, 1], logit.sigmoid())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", [(2, 2), (8, 8), (9, 7), (9, 7, 1), (9, 7, 2), (9, 7, 3), (9, 7, 4)])
def test_any_shape_of_image_is_taken(kind: ModelKind, shape: tuple[int, ...]) -> None:
    """Images of any size from 2 x 2, grey or of 1 to 4 channels, get a finite score a class, alone or together."""
    classifier = made(kind, shape, classes=5)
    seen = images(6, shape)
    classifier.see_statistics([seen])
    with torch.no_grad():
        together = classifier(seen)
        alone = torch.cat([classifier(seen[row : row + 1]) for row in range(6)])

    assert together.shape == (6, 5)
    assert bool(together.isfinite().all())
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("in_training", [True, False])
def test_images_are_never_changed(kind: ModelKind, in_training: bool) -> None:
    """Neither a forward nor a backward pass changes a pixel."""
    seen = images(8, (8, 8, 3))
    before = seen.clone()
    classifier = made(kind, (8, 8, 3), classes=3).train(in_training)
    classifier.see_statistics([seen])
    classifier(seen).sum().backward()

    assert torch.equal(seen, before)


@settings(max_examples=50)
@given(arrays(np.uint8, SHAPES), st.booleans())
def test_inputs_are_brought_to_zero_and_one(pixels: np.ndarray, grey: bool) -> None:
    """After a look at images, each of their channels has mean 0 and standard deviation 1, or its own below 1."""
    seen = torch.from_numpy(pixels[..., 0].copy() if grey else pixels)
    classifier = Classifier("linear", tuple(seen.shape[1:]), classes=2)
    classifier.see_statistics([seen])
    x = classifier.normalised(seen).double()
    channels = pixels[..., :1] if grey else pixels
    spread = channels.astype(np.float64).std(axis=(0, 1, 2))

    assert x.shape == (len(pixels), channels.shape[3], *pixels.shape[1:3])
    torch.testing.assert_close(x.mean(dim=(0, 2, 3)), torch.zeros(len(spread)).double(), atol=1e-4, rtol=0)
    expected = torch.from_numpy(np.minimum(spread, 1))
    torch.testing.assert_close(x.std(dim=(0, 2, 3), correction=0), expected, atol=1e-4, rtol=0)


def test_channels_keep_their_place() -> None:
    """Pixel (row, column, channel) of an image is (channel, row, column) of the network's input."""
    seen = images(2, (3, 4, 3))
    x = Classifier("linear", (3, 4, 3), classes=2).normalised(seen)

    assert torch.equal(x, seen.permute(0, 3, 1, 2).float())


def test_images_are_flattened_row_by_row() -> None:
    """A single layer has one weight a pixel, H x W of them, in the order of the pixels."""
    classifier = made("linear", (3, 5), classes=2)
    weight, bias = weights(classifier)
    spot = torch.zeros(1, 3, 5, dtype=torch.uint8)
    spot[0, 1, 2] = 1
    with torch.no_grad():
        logit = classifier(spot)[0, 1]

    assert weight.shape == (1, 3 * 5)
    torch.testing.assert_close(logit, weight[0, 1 * 5 + 2] + bias[0])


@pytest.mark.parametrize(
    ("side", "depth"), [(1, 2), (8, 2), (28, 2), (31, 2), (32, 3), (63, 3), (64, 4), (127, 4), (224, 5), (4096, 6)]
)
def test_a_network_is_as_deep_as_the_image_is_large(side: int, depth: int) -> None:
    """The sides are halved until fewer than 8 pixels are left, 4 at least; of small images twice."""
    assert depth_for(side) == depth
    assert depth in (2, 6) or 4 <= side / 2**depth < 8


@pytest.mark.parametrize("depth", [1, 2, 3, 4, 5, 6])
def test_every_depth_halves_so_often(depth: int) -> None:
    """All channels are multiples of 16, as processors like them."""
    network = cnn(3, 5, Layers(64, depth, dropout=0.5)).eval()
    side = 2 ** max(3, depth + 1)
    layers = [layer for layer in network.modules() if isinstance(layer, torch.nn.Conv2d)]

    assert network[: len(network) - 4](torch.zeros(1, 3, side, side)).shape[2:] == (side >> depth,) * 2
    assert network(torch.zeros(2, 3, side, 2 * side)).shape == (2, 5)
    assert all(layer.out_channels % 16 == 0 for layer in layers)


@pytest.mark.parametrize("pool", ["max", "mean"])
def test_a_feature_is_its_largest_value_or_its_mean(pool: Pool) -> None:
    """Over all places, so that images of any size have as many features."""
    *layers, last, _flat, _linear = cnn(1, 3, Layers(16, pool=pool)).eval()
    places = torch.nn.Sequential(*layers)(torch.rand(2, 1, 12, 16))

    pooled = last(places)[:, :, 0, 0]

    torch.testing.assert_close(pooled, places.amax((2, 3)) if pool == "max" else places.mean((2, 3)))
