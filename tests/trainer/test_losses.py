import numpy as np
import pytest
import torch
from sklearn.metrics import log_loss
from torch import nn

from vouch.sources.examples import Examples
from vouch.trainer.losses import Criterion, measure, right_answers
from vouch.trainer.models import Classifier
from vouch.trainer.temperature import calibrated_loss


def scores(count: int = 20, classes: int = 5) -> torch.Tensor:
    return torch.randn(count, classes, generator=torch.Generator().manual_seed(0))


def several(count: int = 20, classes: int = 5) -> torch.Tensor:
    return torch.rand(count, classes, generator=torch.Generator().manual_seed(1)) < 0.3


def test_cross_entropy_is_minus_the_logarithm() -> None:
    """Cross-entropy is the mean of -log of the true class's probability."""
    logits, labels = scores(), torch.arange(20) % 5
    by_hand = -np.log(logits.softmax(dim=1).numpy()[np.arange(20), labels.numpy()]).mean()

    assert Criterion()(logits, labels).item() == pytest.approx(by_hand, rel=1e-5)


def test_cross_entropy_of_two_classes_is_binary_cross_entropy() -> None:
    """With the first score held at 0 it is the usual loss of a single logit."""
    logit, labels = torch.linspace(-4, 4, 20), torch.arange(20) % 2
    logits = torch.stack([torch.zeros(20), logit], dim=1)
    binary = nn.BCEWithLogitsLoss()(logit, labels.float()).item()

    assert Criterion()(logits, labels).item() == pytest.approx(binary, rel=1e-5)


def test_squared_error_is_of_probabilities() -> None:
    """Squared error is the mean squared difference between the probabilities and 1 for the true class, else 0."""
    logits, labels = scores(), torch.arange(20) % 5
    by_hand = ((logits.softmax(dim=1).numpy() - np.eye(5)[labels.numpy()]) ** 2).mean()

    assert Criterion("mse")(logits, labels).item() == pytest.approx(by_hand, rel=1e-5)


def test_measuring_is_over_all_images() -> None:
    """Loss and accuracy are means over all images, however many batches they are measured in."""
    random = np.random.default_rng(0)
    part = Examples(random.integers(0, 256, (2_500, 3, 3), dtype=np.uint8), random.integers(0, 4, 2_500))
    classifier = Classifier("linear", (3, 3), classes=4).eval()
    with torch.no_grad():
        logits = classifier(torch.from_numpy(part.images))
    labels = torch.from_numpy(part.labels)
    measured = measure(classifier, torch.from_numpy(part.images), labels)

    assert measured.loss == pytest.approx(Criterion()(logits, labels).item(), rel=1e-4)
    assert measured.calibrated_loss == pytest.approx(calibrated_loss(logits, labels))
    assert measured.accuracy == float((logits.argmax(dim=1) == labels).double().mean())


def test_weights_say_what_an_example_counts() -> None:
    """With a weight a class the loss is scikit-learn's log loss with those sample weights."""
    logits, labels = scores(), torch.arange(20) % 5
    weights = torch.tensor([1.0, 2.0, 0.5, 4.0, 1.0])
    oracle = log_loss(labels, logits.double().softmax(dim=1), sample_weight=weights[labels], labels=range(5))

    assert Criterion(weights=weights)(logits, labels).item() == pytest.approx(oracle, rel=1e-5)
    assert Criterion("mse", weights=torch.ones(5))(logits, labels).item() == pytest.approx(
        Criterion("mse")(logits, labels).item()
    )
    assert Criterion("mse", weights=weights)(logits, labels) != Criterion("mse")(logits, labels)


def test_several_labels_are_as_many_yes_or_no_questions() -> None:
    """The loss is the mean log loss of each label by itself, by scikit-learn."""
    logits, labels = scores(), several()
    chances = logits.double().sigmoid()
    oracle = np.mean([log_loss(labels[:, k], chances[:, k], labels=[False, True]) for k in range(5)])
    square = ((chances - labels.double()) ** 2).mean().item()

    assert Criterion()(logits, labels).item() == pytest.approx(oracle, rel=1e-5)
    assert Criterion("mse")(logits, labels).item() == pytest.approx(square, rel=1e-5)


def test_a_weight_of_a_label_is_for_its_presence() -> None:
    """A missing label that counts three times makes three times the loss; one that is wrongly there, the same."""
    weights = torch.tensor([3.0, 1.0])
    logits = torch.tensor([[-2.0, -50.0]])

    for loss in (Criterion(), Criterion("mse")):
        weighted = Criterion(loss.loss, weights=weights)
        present, absent = torch.tensor([[True, False]]), torch.tensor([[False, False]])
        assert weighted(logits, present).item() == pytest.approx(3 * loss(logits, present).item(), rel=1e-5)
        assert weighted(logits, absent).item() == pytest.approx(loss(logits, absent).item(), rel=1e-5)


def test_smoothing_never_wants_certainty() -> None:
    """With label smoothing the smallest loss is not at boundless scores, for one label and for several."""
    smooth = Criterion(label_smoothing=0.2)
    for labels in (torch.tensor([0]), torch.tensor([[True, False]])):
        losses = [smooth(torch.tensor([[z, -z]]), labels).item() for z in (0.0, 1.0, 20.0)]
        assert losses[1] < losses[0] < losses[2]


def test_an_image_is_right_when_all_its_labels_are() -> None:
    """Of several labels, every one has to be on its side of 0."""
    logits = torch.tensor([[1.0, -1.0], [1.0, 1.0], [-1.0, -1.0]])

    assert right_answers(logits, torch.tensor([[True, False], [True, False], [False, False]])) == 2
    assert right_answers(logits, torch.tensor([0, 1, 1])) == 1
