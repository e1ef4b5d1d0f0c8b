import io
from collections.abc import Mapping
from dataclasses import replace
from math import log
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from tests.trainer.report.runs import RECIPE, noise_splits
from vouch.trainer.learn.course import Epoch, Step
from vouch.trainer.learn.loop import fit
from vouch.trainer.learn.losses import Criterion
from vouch.trainer.learn.networks import Classifier, Layers
from vouch.trainer.report.finished import Run
from vouch.trainer.report.recorder import MAX_MOMENTS, MAX_PICTURED, MAX_STEPS, Recorder
from vouch.trainer.splits.split import Splits


def weights(model: nn.Module) -> dict[str, np.ndarray]:
    return {name: value.detach().numpy().copy() for name, value in model.state_dict().items()}


def same(one: Mapping[str, np.ndarray], other: Mapping[str, np.ndarray]) -> bool:
    return all(np.array_equal(one[name], other[name]) for name in one)


def test_watching_changes_nothing(splits: Splits) -> None:
    """With a recorder the fit comes to the same weights, bit for bit, dropout and batch norm included."""
    torch.manual_seed(0)
    alone = Classifier("mlp", (8, 8), classes=10)
    torch.manual_seed(0)
    watched = Classifier("mlp", (8, 8), classes=10)
    recorder = Recorder(watched, splits, "cross-entropy", target=3)
    fit(alone, splits, RECIPE)
    fit(watched, splits, RECIPE, on_step=recorder)

    assert same(weights(alone), weights(watched))


def test_the_first_weights_are_kept(splits: Splits) -> None:
    """They are those from before the first step, with the statistics of the images."""
    torch.manual_seed(0)
    classifier = Classifier("linear", (8, 8), classes=10)
    before = weights(classifier)["network.weight"]
    recorder = Recorder(classifier, splits, "cross-entropy", target=3)
    fit(classifier, splits, RECIPE, on_step=recorder)
    kept = recorder.with_first_weights()

    assert np.array_equal(weights(kept)["network.weight"], before)
    assert float(kept.mean) == pytest.approx(splits.fit.images[:].mean(), rel=1e-5)
    assert not np.array_equal(weights(classifier)["network.weight"], before)


def test_the_first_step_is_the_runs_own(learned_digits: tuple[Run, Recorder]) -> None:
    """Its rate is that of the warm-up and it moved the weights, a little."""
    first = learned_digits[1].first_step

    assert first is not None
    assert 0 < first.rate < RECIPE.learning_rate
    assert 0 < first.relative_change < 0.1


def test_moments_are_answers_to_the_first_image(learned_digits: tuple[Run, Recorder]) -> None:
    """One an epoch from before training on; a moment's loss is minus the logarithm of the label's probability."""
    run, recorder = learned_digits
    moments = list(recorder.moments)

    assert [moment.epoch for moment in moments] == list(range(RECIPE.epochs + 1))
    assert moments[-1].answer == run.splits.fit.labels[0]
    for moment in moments:
        assert moment.loss == pytest.approx(-log(moment.truth), rel=1e-4)
        assert sum(moment.probabilities) == pytest.approx(1, abs=1e-5)  # ten classes, all shown


def test_the_kept_epochs_moment_is_what_the_kept_model_says(learned_digits: tuple[Run, Recorder]) -> None:
    """What was noted after the best epoch is what the finished classifier answers."""
    run, recorder = learned_digits
    moment = next(moment for moment in recorder.moments if moment.epoch == run.fitted.best.number)
    with torch.no_grad():
        loss = Criterion()(run.classifier(recorder.image), recorder.label).item()

    assert moment.loss == pytest.approx(loss, rel=1e-5)


def test_a_restored_recorder_has_seen_the_same(learned_digits: tuple[Run, Recorder]) -> None:
    """Its state survives a file that runs no code when it is read."""
    run, recorder = learned_digits
    file = io.BytesIO()
    torch.save(recorder.state_dict(), file)
    file.seek(0)
    state: dict[str, Any] = torch.load(file, weights_only=True)
    other = Recorder(run.classifier, run.splits, "cross-entropy", target=3)
    other.load_state_dict(state)

    assert list(other.moments) == list(recorder.moments)
    assert list(other.steps) == list(recorder.steps)
    assert other.first_step == recorder.first_step
    assert same(weights(other.with_first_weights()), weights(recorder.with_first_weights()))
    assert all(
        epoch == kept and torch.equal(pictures, of_kept)
        for (epoch, pictures), (kept, of_kept) in zip(other.pictured, recorder.pictured, strict=True)
    )


def test_a_long_run_is_thinned_out() -> None:
    """Steps and epochs that are kept have a limit, whatever the length of the run."""
    classifier = Classifier("linear", (4, 4), classes=3)
    recorder = Recorder(classifier, noise_splits(("a", "b", "c"), (4, 4)), "cross-entropy", target=2)
    for number in range(6001):
        epoch = Epoch(number // 10, 1.0, 0.5, 1.0, 1.0, 0.5, images=10, seconds=1.0) if number % 10 == 0 else None
        recorder(Step(number, 0.1, 1.0, epoch))

    assert 500 < len(recorder.steps) <= MAX_STEPS + 1
    assert 100 < len(recorder.moments) <= MAX_MOMENTS + 1
    assert len(recorder.pictured) <= MAX_PICTURED + 1
    assert list(recorder.moments)[-1].epoch == 600


def test_a_fit_that_begins_again_is_told_from_there(splits: Splits) -> None:
    """With the first weights of the network that was kept; of the one before nothing is left, resumed or not."""
    torch.manual_seed(0)
    classifier = Classifier("cnn", (8, 8), classes=10, layers=Layers(16))
    recorder = Recorder(classifier, splits, "cross-entropy", target=3)
    recipe = replace(RECIPE, epochs=1, hard_epochs=2, augment=None, width=16)
    result = fit(classifier, splits, recipe, on_step=recorder)
    resumed = Recorder(classifier, splits, "cross-entropy", target=3)
    resumed.load_state_dict(recorder.state_dict())

    assert result.recipe is not None
    torch.manual_seed(recipe.seed)
    first = weights(Classifier("cnn", (8, 8), 10, Layers.of(result.recipe)).network)
    for one in (recorder, resumed):
        assert same(weights(one.with_first_weights().network), first)
        assert [moment.epoch for moment in one.moments] == [0, 1, 2]
