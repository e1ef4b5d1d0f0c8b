import numpy as np
import pytest
import torch

from vouch.trainer.learn import penalty
from vouch.trainer.learn.penalty import chosen_penalty, default_penalty
from vouch.trainer.learn.regression import Problem, Wanted

COUNT, WIDTH = 80, 20


def problem(signal: float, versions: int = 1) -> Problem:
    """Two classes; the first feature tells them apart, as strongly as the signal says."""
    random = np.random.default_rng(3)
    labels = np.arange(COUNT) % 2
    made = random.normal(size=(versions, COUNT, WIDTH))
    made[:, :, 0] += signal * (2 * labels - 1)
    z = torch.from_numpy(made.reshape(versions * COUNT, WIDTH))
    truth = torch.from_numpy(labels)[:, None].double()
    aim = Wanted(truth, torch.ones(COUNT, 1).double(), together=False).times(versions)
    return Problem(z, aim, z.square().mean(dim=0))


FOLD = torch.arange(COUNT) // 2 % 5


def test_noise_is_held_back_and_a_signal_is_not() -> None:
    """Where the features say nothing the penalty is as strong as it gets, and nobody answers boldly."""
    noise, signal = chosen_penalty(problem(0.0), FOLD, 0), chosen_penalty(problem(3.0), FOLD, 0)

    assert noise.penalty > 30 * signal.penalty
    assert noise.loss == pytest.approx(np.log(2), abs=0.05)
    assert signal.loss < 0.2


def test_each_image_is_answered_by_what_was_fitted_without_it() -> None:
    """One with the wrong label is contradicted by the others, also where it stands there in two versions."""
    made = problem(3.0, versions=2)
    made.wanted.truth[[7, 7 + COUNT]] = 0.0  # it is of the second class

    assert float(chosen_penalty(made, FOLD, 0).logits[7]) > 0


def test_of_too_many_images_some_are_drawn_and_all_are_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same ones for the same seed."""
    monkeypatch.setattr(penalty, "MAX_WORK", COUNT / 2 * WIDTH)
    first, again = (chosen_penalty(problem(3.0), FOLD, 1) for _ in range(2))

    right = (first.logits[:, 0] > 0) == (torch.arange(COUNT) % 2 > 0)
    assert right.double().mean() > 0.9
    assert torch.equal(first.logits, again.logits)


def test_without_folds_the_penalty_follows_the_features() -> None:
    """Features that are twice as large have weights half as large, and are held back four times as strongly."""
    variances = torch.tensor([1.0, 2.0])

    assert default_penalty(4 * variances) == pytest.approx(4 * default_penalty(variances))
