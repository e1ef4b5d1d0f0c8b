import numpy as np
import pytest
import torch

from vouch.trainer.learn.networks import Classifier
from vouch.trainer.report.finished import Run
from vouch.trainer.report.opposite import MAX_CHANGES, opposite_experiment, wanted_class
from vouch.trainer.report.recorder import Recorder


def test_the_wanted_class_is_a_three_where_there_is_one() -> None:
    """Else the fourth, else the last."""
    assert wanted_class(("9", "3", "1")) == 1
    assert wanted_class(("cat", "dog", "cow", "hen", "pig")) == 3
    assert wanted_class(("cat", "dog")) == 1


@pytest.mark.parametrize("wanted", [0, 3, 8])
def test_a_blank_image_becomes_what_the_model_calls_a_class(learned_digits: tuple[Run, Recorder], wanted: int) -> None:
    """The last frame, as it would be sent to a server, is answered with that class, with 99 %."""
    classifier = learned_digits[0].classifier
    experiment = opposite_experiment(classifier, (8, 8), wanted, several=False)
    last = experiment.frames[-1]
    with torch.no_grad():
        probabilities = classifier(torch.from_numpy(last.image[None])).softmax(dim=1)[0]

    assert experiment.sure
    assert int(probabilities.argmax()) == last.answer == wanted
    assert float(probabilities[wanted]) == pytest.approx(experiment.course[-1], abs=1e-5)
    assert experiment.called_after is not None
    assert experiment.called_after <= last.change == len(experiment.course) - 1


def test_it_begins_with_a_blank_image(learned_digits: tuple[Run, Recorder]) -> None:
    """The first frame is black, the frames' changes count up."""
    experiment = opposite_experiment(learned_digits[0].classifier, (8, 8), 3, several=False)
    changes = [frame.change for frame in experiment.frames]

    assert not experiment.frames[0].image.any()
    assert changes[0] == 0
    assert changes == sorted(set(changes))


def test_the_weights_stay(learned_digits: tuple[Run, Recorder]) -> None:
    """Not one of them is touched."""
    classifier = learned_digits[0].classifier
    before = {name: value.clone() for name, value in classifier.state_dict().items()}
    opposite_experiment(classifier, (8, 8), 3, several=False)

    assert all(torch.equal(before[name], value) for name, value in classifier.state_dict().items())


def test_a_model_that_looks_at_nothing_cannot_be_moved() -> None:
    """Where no pixel matters the experiment ends and says that the class was never called."""
    classifier = Classifier("linear", (4, 4), classes=3)
    with torch.no_grad():
        for weights in classifier.parameters():
            weights.zero_()
        list(classifier.parameters())[1][0] = 1.0  # a bias towards the first class
    experiment = opposite_experiment(classifier, (4, 4), 2, several=False)

    assert experiment.called_after is None
    assert not experiment.sure
    assert len(experiment.frames) == 1


def test_it_ends_in_bounded_time() -> None:
    """A class that can hardly be reached is given up after a number of changes; pixels stay bytes."""
    classifier = Classifier("linear", (2, 2), classes=3)
    with torch.no_grad():
        for weights in classifier.parameters():
            weights.mul_(0.001)
    experiment = opposite_experiment(classifier, (2, 2), 1, several=False)

    assert len(experiment.course) <= MAX_CHANGES + 1
    assert experiment.frames[-1].image.dtype == np.uint8


def test_with_several_labels_one_of_them_is_raised() -> None:
    """The wanted label's own probability passes one half, whatever the others do."""
    torch.manual_seed(0)
    classifier = Classifier("linear", (8, 8), classes=4)
    experiment = opposite_experiment(classifier, (8, 8), 3, several=True)

    assert experiment.called_after is not None
    assert experiment.course[experiment.called_after] > 0.5
