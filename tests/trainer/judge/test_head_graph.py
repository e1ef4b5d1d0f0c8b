import numpy as np
import pytest
import torch

from tests.support.backbones import tiny_backbone
from vouch.bundle.multi_label import Task
from vouch.trainer.judge.export import check_agreement, export
from vouch.trainer.judge.graph import answers_and_logits
from vouch.trainer.learn.frozen import FrozenClassifier

SHAPE = (8, 8, 3)


@pytest.mark.parametrize(
    ("classes", "task"), [(2, "single_label"), (3, "single_label"), (2, "multi_label"), (3, "multi_label")]
)
def test_the_joined_graph_answers_as_the_classifier_does(classes: int, task: Task) -> None:
    """From raw pixels, with scaling and temperature in it: probabilities and the logits that they are made of."""
    torch.manual_seed(0)
    images = np.random.default_rng(0).integers(0, 255, (9, *SHAPE), dtype=np.uint8)
    classifier = FrozenClassifier(tiny_backbone(SHAPE), classes, task)
    classifier.see_features(torch.from_numpy(classifier.made.of_array(images)))

    graph = export(classifier, SHAPE, temperature=1.7)

    assert check_agreement(classifier, graph, images, temperature=1.7) < 1e-5
    probabilities, logits = answers_and_logits(graph, images)
    with torch.no_grad():
        expected = classifier(torch.from_numpy(images)) / 1.7
    np.testing.assert_allclose(logits, expected, atol=1e-4)
    np.testing.assert_allclose(probabilities, classifier.probabilities(expected), atol=1e-5)
