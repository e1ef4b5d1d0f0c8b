from math import log

import numpy as np
import pytest
import torch

from tests.trainer.report.runs import RECIPE, finished, noise_splits
from vouch.bundle.training import Augmentation
from vouch.trainer.report.finished import Run
from vouch.trainer.report.recorder import Recorder
from vouch.trainer.report.story import RATES, VARIANTS, Story, tell
from vouch.trainer.splits.split import Splits


@pytest.fixture(scope="module")
def story(learned_digits: tuple[Run, Recorder]) -> Story:
    run, recorder = learned_digits
    return tell(recorder, run.classifier, run.splits, Augmentation())


def test_it_is_about_the_first_image(story: Story, splits: Splits) -> None:
    """Image and label are the first of fit."""
    np.testing.assert_array_equal(story.image, splits.fit.images[0])
    assert story.truth == (splits.fit.labels[0],)


def test_the_pixels_are_on_the_common_scale(story: Story, splits: Splits) -> None:
    """Less the mean of all fit pixels, over their standard deviation."""
    images = splits.fit.images[:].astype(np.float64)

    np.testing.assert_allclose(story.pixels[0], (images[0] - images.mean()) / images.std(), rtol=1e-4, atol=1e-4)


def test_the_loss_is_the_cross_entropy_of_the_probabilities(story: Story) -> None:
    """Before the step, after it and in the end."""
    for seen in (story.random, story.step.after, story.kept):
        assert seen.loss == pytest.approx(-log(seen.probabilities[story.truth[0]]), rel=1e-4)
        assert seen.probabilities.sum() == pytest.approx(1, abs=1e-5)


def test_the_plain_step_follows_the_rule_of_a_single_layer(story: Story) -> None:
    """The weights of each class move by rate times (1 or 0 less probability) times the image: softmax's gradient."""
    wanted = np.zeros(10)
    wanted[list(story.truth)] = 1
    rule = story.step.rate * (wanted - story.random.probabilities)[:, None, None, None] * story.pixels

    np.testing.assert_allclose(story.step.after.slopes - story.random.slopes, rule, atol=1e-6)


def test_the_plain_step_halves_the_loss_and_no_smaller_rate_does(story: Story) -> None:
    """With the next smaller rate that was tried the loss stays above half."""
    assert story.step.after.loss <= story.random.loss / 2
    pixels = float((story.pixels**2).sum()) + 1  # the bias sees a 1
    smaller = RATES[RATES.index(story.step.rate) - 1]
    scores = story.random.scores + smaller * pixels * (np.eye(10)[story.truth[0]] - story.random.probabilities)
    assert -torch.from_numpy(scores).log_softmax(dim=0)[story.truth[0]] > story.random.loss / 2


def test_variants_are_near_their_image_and_differ(story: Story) -> None:
    """Each is another, and correlates with the image it was made of."""
    assert story.variants is not None
    assert story.variants.dtype == np.uint8
    flat = story.variants.reshape(VARIANTS, -1)
    assert len(np.unique(flat, axis=0)) == VARIANTS
    assert np.corrcoef(flat, story.image.reshape(1, -1))[-1, :-1].min() > 0.5


def test_without_augmentation_there_are_no_variants(learned_digits: tuple[Run, Recorder]) -> None:
    """A run that trained on the images as they are shows none."""
    run, recorder = learned_digits

    assert tell(recorder, run.classifier, run.splits, None).variants is None


def test_the_story_leaves_the_kept_weights_alone(learned_digits: tuple[Run, Recorder]) -> None:
    """Neither the plain step nor the opposite experiment moves the model that is published."""
    run, recorder = learned_digits
    before = {name: value.clone() for name, value in run.classifier.state_dict().items()}
    tell(recorder, run.classifier, run.splits, Augmentation())

    assert all(torch.equal(before[name], value) for name, value in run.classifier.state_dict().items())


def test_several_labels_have_a_story_too() -> None:
    """The image's labels are all true, and its loss is the mean over all labels."""
    splits = noise_splits(("a", "b", "c", "d"), (6, 6), several=True)
    run, recorder = finished(splits, recipe=RECIPE)
    story = tell(recorder, run.classifier, splits, None)
    truth = splits.fit.labels[0]
    shares = np.where(truth, story.random.probabilities, 1 - story.random.probabilities)

    assert story.truth == tuple(np.flatnonzero(truth))
    assert story.random.loss == pytest.approx(-np.log(shares).mean(), rel=1e-4)
