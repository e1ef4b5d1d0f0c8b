import numpy as np
import pytest
import torch

from vouch.trainer.kinds import ModelKind
from vouch.trainer.learn.networks import Classifier
from vouch.trainer.report.looks import look, shown_classes, templates

IMAGE = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (1, 8, 8), dtype=np.uint8))
LABEL = torch.tensor([2])


def model(kind: ModelKind, shape: tuple[int, ...] = (8, 8), classes: int = 4) -> Classifier:
    torch.manual_seed(1)
    made = Classifier(kind, shape, classes)
    made.see_statistics([torch.from_numpy(np.random.default_rng(2).integers(0, 256, (20, *shape), dtype=np.uint8))])
    return made.eval()


def test_slopes_of_a_single_layer_are_its_weights() -> None:
    """What a pixel is multiplied by is the weight itself, and what is added is the bias."""
    linear = model("linear")
    seen = look(linear, IMAGE, LABEL, (0, 1, 2, 3), "cross-entropy")
    state = {name: value.numpy() for name, value in linear.state_dict().items()}

    np.testing.assert_allclose(seen.slopes.reshape(4, 64), state["network.weight"], rtol=1e-5)
    np.testing.assert_allclose(seen.remainders, state["network.bias"], atol=1e-4)


@pytest.mark.parametrize("kind", ["linear", "mlp", "cnn"])
def test_pixels_times_slopes_and_the_remainder_are_the_score(kind: ModelKind) -> None:
    """For every network the score is that sum; the probabilities are its softmax, the loss minus their logarithm."""
    network = model(kind)
    seen = look(network, IMAGE, LABEL, (1, 3), "cross-entropy")
    pixels = network.normalised(IMAGE).numpy()
    sums = (seen.slopes * pixels).reshape(2, -1).sum(axis=1) + seen.remainders

    np.testing.assert_allclose(sums, seen.scores[[1, 3]], atol=1e-4)
    np.testing.assert_allclose(seen.probabilities, np.exp(seen.scores) / np.exp(seen.scores).sum(), rtol=1e-4)
    assert seen.loss == pytest.approx(-np.log(seen.probabilities[2]), rel=1e-4)


def test_slopes_tell_what_a_pixel_does() -> None:
    """A pixel that grows a little moves the score of a deep network by that much times its slope."""
    network = model("cnn").double()
    seen = look(network, IMAGE, LABEL, (2,), "cross-entropy")
    pixels = network.normalised(IMAGE).double()
    moved = pixels.clone()
    moved[0, 0, 3, 4] += 1e-4
    with torch.no_grad():
        change = float(network.scores(moved)[0, 2] - network.scores(pixels)[0, 2])

    assert change == pytest.approx(1e-4 * seen.slopes[0, 0, 3, 4], rel=1e-2, abs=1e-9)


def test_few_classes_are_all_shown_and_of_many_the_wanted() -> None:
    """Of two classes with one output it is the second; of a thousand the wanted ones are among ten."""
    assert shown_classes(2, (0,), several=False) == (1,)
    assert shown_classes(2, (0,), several=True) == (0, 1)
    assert shown_classes(12, (5,), several=False) == tuple(range(12))
    assert shown_classes(1000, (998, 500), several=False) == (*range(8), 500, 998)


@pytest.mark.parametrize(
    ("kind", "shape", "expected"),
    [
        ("linear", (8, 8), (4, 8, 8)),
        ("mlp", (8, 8, 3), (16, 8, 8)),
        ("cnn", (8, 8, 4), (16, 5, 5)),
        ("linear", (100, 200, 3), (4, 28, 56)),
    ],
)
def test_templates_are_pictures_of_the_first_layer(
    kind: ModelKind, shape: tuple[int, ...], expected: tuple[int, ...]
) -> None:
    """One a class, unit or filter, at most 56 pixels a side."""
    assert templates(model(kind, shape), shape, (0, 1, 2, 3)).shape == expected


def test_a_template_is_the_mean_of_its_channels() -> None:
    """A single layer's weights for a colour image become one picture a class."""
    linear = model("linear", (6, 5, 3))
    rows = linear.state_dict()["network.weight"].numpy().reshape(4, 3, 6, 5)

    np.testing.assert_allclose(templates(linear, (6, 5, 3), (0, 2)), rows[[0, 2]].mean(axis=1), rtol=1e-5)
