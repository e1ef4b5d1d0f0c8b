import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import log_loss
from torch import nn

from vouch.bundle.training import Loss
from vouch.sources.examples import Examples
from vouch.trainer.learn.losses import Criterion, measure, right_answers
from vouch.trainer.learn.networks import Classifier
from vouch.trainer.learn.pixels import Pixels
from vouch.trainer.learn.temperature import calibrated_loss


def scores(count: int = 20, classes: int = 5) -> torch.Tensor:
    return torch.randn(count, classes, generator=torch.Generator().manual_seed(0))


def several(count: int = 20, classes: int = 5) -> torch.Tensor:
    return torch.rand(count, classes, generator=torch.Generator().manual_seed(1)) < 0.3


WEIGHTS = st.lists(st.floats(-3, 3).map(lambda power: 10**power), min_size=2, max_size=6).map(torch.tensor)
"""Two to six classes, from a thousandth to a thousand times the usual weight."""
SMOOTHING = st.floats(0, 0.9)


def wanted(labels: torch.Tensor, classes: int, smoothing: float) -> torch.Tensor:
    """What smoothing leaves of certainty; float64, shape (N, K)."""
    if labels.ndim == 2:
        return labels.double() * (1 - smoothing) + smoothing / 2
    return nn.functional.one_hot(labels, classes).double() * (1 - smoothing) + smoothing / classes


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
    measured = measure(classifier, Pixels(part.images), labels)

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


@given(WEIGHTS, st.floats(0.01, 0.9))
def test_the_loss_is_smallest_at_the_truth_whatever_the_weights(weights: torch.Tensor, smoothing: float) -> None:
    """Cross-entropy, convex in the scores, is flat just where every image is answered as smoothing wants it."""
    classes = len(weights)
    criterion = Criterion(label_smoothing=smoothing, weights=weights.double())
    one, any_number = torch.arange(2 * classes) % classes, several(8, classes)

    for labels, inverse in ((one, torch.log), (any_number, torch.logit)):
        logits = inverse(wanted(labels, classes, smoothing)).requires_grad_()
        (slope,) = torch.autograd.grad(criterion(logits, labels), logits)
        assert float(slope.abs().max()) < 1e-9


@given(WEIGHTS, SMOOTHING, st.sampled_from(["cross-entropy", "mse"]), st.floats(0.01, 20))
def test_no_other_label_has_a_smaller_loss(
    weights: torch.Tensor, smoothing: float, loss: Loss, certainty: float
) -> None:
    """However sure the answers are and whatever the classes weigh, an image's loss is smallest at its own label."""
    classes = len(weights)
    criterion = Criterion(loss, smoothing, weights.double())
    answers = certainty * torch.eye(classes, dtype=torch.float64)
    for label in range(classes):
        losses = [criterion(answer[None], torch.tensor([label])).item() for answer in answers]
        assert losses[label] < min(losses[:label] + losses[label + 1 :])
    for present in (False, True):
        said = torch.full((1, classes), certainty, dtype=torch.float64) * (1 if present else -1)
        truth = torch.full((1, classes), present)
        assert criterion(said, truth).item() < criterion(-said, truth).item()


@given(WEIGHTS, SMOOTHING, st.sampled_from(["cross-entropy", "mse"]))
def test_how_hard_an_image_is_does_not_depend_on_weights(weights: torch.Tensor, smoothing: float, loss: Loss) -> None:
    """`each`, which the focus on hard images goes by, is the same with weights and without."""
    classes = len(weights)
    for labels in (torch.arange(20) % classes, several(20, classes)):
        each = Criterion(loss, smoothing).each(scores(20, classes), labels)
        assert torch.equal(Criterion(loss, smoothing, weights).each(scores(20, classes), labels), each)


@pytest.mark.parametrize("weights", [None, torch.tensor([1.0, 2.0, 0.5, 4.0, 1.0])])
@pytest.mark.parametrize("labels", [torch.arange(20) % 5, several()])
def test_a_batch_in_parts_has_the_loss_of_the_whole(labels: torch.Tensor, weights: torch.Tensor | None) -> None:
    """Processes that share a batch, each with other classes, add up to what one process computes."""
    criterion, logits = Criterion(label_smoothing=0.1, weights=weights), scores()
    totals = [criterion.total(criterion.each(logits[rows], labels[rows]), labels[rows]) for rows in ([0, 5], [1, 6, 7])]
    rows = [0, 5, 1, 6, 7]

    assert (sum(totals) / criterion.weight(labels[rows])).item() == pytest.approx(
        criterion(logits[rows], labels[rows]).item(), rel=1e-6
    )


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


@pytest.mark.parametrize("loss", ["cross-entropy", "mse"])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("several", [False, True])
def test_what_is_left_to_learn_is_a_share(loss: Loss, smoothing: float, several: bool) -> None:
    """All of it for who knows nothing, none of it for the answer that has the lowest loss there is."""
    criterion = Criterion(loss, smoothing if loss == "cross-entropy" else 0.0)
    labels = torch.tensor([[True, False, True]]) if several else torch.tensor([0, 2])
    wanted = labels.float() if several else nn.functional.one_hot(labels, 3).float()
    sides = 2 if several else 3
    wanted = wanted * (1 - criterion.label_smoothing) + criterion.label_smoothing / sides
    best = torch.logit(wanted, eps=1e-7) if several else wanted.clamp(min=1e-7).log()

    knowing_nothing = criterion(torch.zeros_like(best), labels).item()
    assert criterion.left(knowing_nothing, 3, several) == pytest.approx(1)
    assert criterion.left(criterion(best, labels).item(), 3, several) == pytest.approx(0, abs=1e-5)
