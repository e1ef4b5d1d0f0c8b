import numpy as np
import pytest
import torch
from torch import nn

from tests.support.backbones import tiny_backbone
from vouch.bundle.multi_label import Task
from vouch.trainer.learn.frozen import FrozenClassifier
from vouch.trainer.learn.networks import Classifier
from vouch.trainer.report.activation import places_of

IMAGES = np.random.default_rng(0).integers(0, 256, (3, 12, 9, 3), dtype=np.uint8)


def frozen(classes: int, task: Task = "single_label", places: bool = True) -> FrozenClassifier:
    """On features whose mean and spread are not those of nothing."""
    torch.manual_seed(0)
    classifier = FrozenClassifier(tiny_backbone(IMAGES.shape[1:], places=places), classes, task)
    classifier.see_features(torch.randn(20, 5) * torch.arange(1, 6) + 3)
    return classifier


@pytest.mark.parametrize(("classes", "task"), [(4, "single_label"), (2, "single_label"), (2, "multi_label")])
def test_what_the_places_count_is_the_score(classes: int, task: Task) -> None:
    """Of every class and image: the sum over the places, and the bias. Of two classes it is the scores' difference."""
    classifier = frozen(classes, task)
    found = places_of(classifier, IMAGES)
    with torch.no_grad():
        scores = classifier(torch.from_numpy(IMAGES)).numpy()
    assert found is not None

    for row in range(len(IMAGES)):
        for k in range(classes):
            wanted = scores[row, k] - scores[row, 1 - k] if found.two else scores[row, k]
            parts = found.parts(row, k)
            assert parts.shape == (12, 9)
            assert parts.sum(dtype=np.float64) + found.bias(k) == pytest.approx(wanted, abs=1e-4)


def test_a_network_of_ours_has_a_map_where_a_mean_feeds_its_last_layer() -> None:
    """With the mean over all places the parts sum to the score; of their maximum there is no map."""
    torch.manual_seed(0)
    classifier = Classifier("cnn", IMAGES.shape[1:], 4).eval()
    assert isinstance(classifier.network, nn.Sequential)
    layers = [
        nn.AdaptiveAvgPool2d(1) if isinstance(layer, nn.AdaptiveMaxPool2d | nn.AdaptiveAvgPool2d) else layer
        for layer in classifier.network
    ]
    classifier.network = nn.Sequential(*layers)
    found = places_of(classifier, IMAGES)
    with torch.no_grad():
        scores = classifier(torch.from_numpy(IMAGES)).numpy()
    assert found is not None

    assert found.parts(1, 2).sum(dtype=np.float64) + found.bias(2) == pytest.approx(scores[1, 2], abs=1e-5)
    classifier.network = nn.Sequential(
        *[nn.AdaptiveMaxPool2d(1) if isinstance(x, nn.AdaptiveAvgPool2d) else x for x in layers]
    )
    assert places_of(classifier, IMAGES) is None


def test_where_there_is_no_sum_over_places_there_is_no_map() -> None:
    """A backbone that gives features alone, and networks of dense layers."""
    assert places_of(frozen(3, places=False), IMAGES) is None
    assert places_of(Classifier("linear", IMAGES.shape[1:], 4), IMAGES) is None
    assert places_of(Classifier("mlp", IMAGES.shape[1:], 4).eval(), IMAGES) is None
