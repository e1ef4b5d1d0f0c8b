import numpy as np
import pytest
import torch
from scipy.optimize import minimize_scalar
from sklearn.metrics import log_loss
from torch import Tensor

from vouch.trainer.learn import temperature as temperature_module
from vouch.trainer.learn.one_thread import one_thread
from vouch.trainer.learn.temperature import (
    LARGEST,
    SMALLEST,
    best_temperature,
    calibrated_loss,
    chosen_temperature,
    cross_validated_loss,
    loss_at,
)


def said_at(temperature: float, count: int = 4000, classes: int = 6) -> tuple[Tensor, Tensor]:
    """Scores that are honest at this temperature: labels are drawn from the probabilities that it gives."""
    random = torch.Generator().manual_seed(0)
    honest = 2 * torch.randn(count, classes, generator=random)
    labels = torch.multinomial(honest.softmax(dim=1), 1, generator=random)[:, 0]
    return honest * temperature, labels


@pytest.mark.parametrize("temperature", [0.3, 1.0, 2.5])
def test_what_was_said_too_boldly_or_too_softly_is_put_right(temperature: float) -> None:
    """Scores that are this many times too large get this temperature, near enough for 4,000 draws."""
    logits, labels = said_at(temperature)

    assert best_temperature(logits, labels) == pytest.approx(temperature, rel=0.05)


@pytest.mark.parametrize("temperature", [0.3, 1.0, 2.5])
def test_no_other_temperature_is_better(temperature: float) -> None:
    """scipy's search over scikit-learn's log loss, with one image's worth of doubt, finds the same one."""
    logits, labels = said_at(temperature)

    def loss(log_temperature: float) -> float:
        probabilities = (logits.double() / np.exp(log_temperature)).softmax(dim=1)
        doubted = -float(probabilities.log().mean())  # as if every class were as true as any other
        return (1 - 1 / 4002) * float(log_loss(labels, probabilities.numpy())) + doubted / 4002

    found = minimize_scalar(loss, bounds=(-3, 3), method="bounded", options={"xatol": 1e-7})

    assert best_temperature(logits, labels) == pytest.approx(np.exp(found.x), rel=1e-4)
    assert calibrated_loss(logits, labels) == pytest.approx(
        log_loss(labels, (logits.double() / np.exp(found.x)).softmax(1))
    )


def test_several_labels_have_one_temperature() -> None:
    """Labels drawn from sigmoids of the scores are honest at 1; doubled scores at 2."""
    random = torch.Generator().manual_seed(0)
    honest = 2 * torch.randn(4000, 5, generator=random)
    labels = torch.rand(4000, 5, generator=random) < honest.sigmoid()

    assert best_temperature(honest, labels) == pytest.approx(1, rel=0.05)
    assert best_temperature(2 * honest, labels) == pytest.approx(2 * best_temperature(honest, labels), rel=1e-4)
    assert calibrated_loss(2 * honest, labels) == pytest.approx(calibrated_loss(honest, labels), rel=1e-6)


@pytest.mark.parametrize("several", [False, True])
def test_a_few_right_answers_are_no_certainty(several: bool) -> None:
    """Where all of 70 answers are right, one in 72 is doubted, so that the probabilities stop short of 1."""
    labels = torch.arange(70) % 2
    logits = torch.eye(2)[labels] * 4 - 2
    wanted = torch.eye(2, dtype=torch.bool)[labels] if several else labels
    scaled = logits / best_temperature(logits, wanted)
    surest = scaled.sigmoid().max() if several else scaled.softmax(dim=1).max()

    assert float(surest) == pytest.approx(1 - 1 / 72 if several else 1 - 1 / 144, abs=1e-4)


def test_temperatures_are_bounded() -> None:
    """Also where all answers are wrong, or say nothing."""
    logits = torch.tensor([[3.0, 0.0], [0.0, 3.0]])

    assert best_temperature(logits, torch.tensor([1, 0])) == pytest.approx(LARGEST, rel=1e-3)
    assert SMALLEST <= best_temperature(torch.zeros(3, 4), torch.tensor([0, 1, 2])) <= LARGEST


@pytest.mark.parametrize("temperature", [0.3, 2.5])
@pytest.mark.parametrize("count", [40, 4000])
def test_a_temperature_that_helps_is_applied(temperature: float, count: int) -> None:
    """Also one fitted to forty images, where it is far from 1."""
    logits, labels = said_at(temperature, count)

    assert chosen_temperature(logits, labels) == best_temperature(logits, labels) != 1


def of_two(right: int, wrong: int, said: float, several: bool = False) -> tuple[Tensor, Tensor]:
    """Scores of two classes that give each answer this probability, so many of them right; or of one yes or no."""
    score = float(np.log(said / (1 - said)))
    labels = torch.tensor([0] * right + [1] * wrong)
    if several:
        return torch.full((right + wrong, 1), score), (labels == 0)[:, None]
    return torch.tensor([[score, 0.0]]).repeat(right + wrong, 1), labels


@pytest.mark.parametrize("several", [False, True])
def test_a_temperature_fitted_to_twelve_accidents_is_not_applied(several: bool) -> None:
    """Ten of twelve are right, said with 70 %: the best one says more, and where 70 % are right it is farther off."""
    tune, others = of_two(10, 2, 0.7, several), of_two(700, 300, 0.7, several)
    best = best_temperature(*tune)

    assert best < 1
    assert loss_at(*tune, best) < loss_at(*tune)
    assert loss_at(*others, best) > loss_at(*others)
    assert chosen_temperature(*tune) == 1


@pytest.mark.parametrize("several", [False, True])
def test_the_loss_is_of_images_that_the_temperature_was_not_fitted_to(several: bool) -> None:
    """Leave-one-out with twelve images: each at the best temperature of the eleven others."""
    random = torch.Generator().manual_seed(0)
    logits = torch.randn(12, 3, generator=random)
    labels = torch.rand(12, 3, generator=random) < 0.5 if several else torch.arange(12) % 3
    losses = []
    for row in range(12):
        others = torch.arange(12) != row
        losses.append(loss_at(logits[~others], labels[~others], best_temperature(logits[others], labels[others])))

    assert cross_validated_loss(logits, labels) == pytest.approx(np.mean(losses))


def test_of_many_images_a_fifth_is_held_out_at_a_time() -> None:
    """Five folds of interleaved images, so that classes in order are spread over all."""
    logits, labels = said_at(1.5, 103)
    total = 0.0
    for fold in range(5):
        held = torch.arange(103) % 5 == fold
        at = best_temperature(logits[~held], labels[~held])
        total += loss_at(logits[held], labels[held], at) * int(held.sum())

    assert cross_validated_loss(logits, labels) == pytest.approx(total / 103)


def test_on_average_what_is_chosen_is_no_worse_on_new_images() -> None:
    """Twelve tune images forty times, of scores that are honest: most are left as they are."""
    logits, labels = said_at(1.0, 2000, classes=3)
    best, chosen = [], []
    with one_thread():
        for start in range(0, 480, 12):
            few = logits[start : start + 12], labels[start : start + 12]
            best.append(loss_at(logits[480:], labels[480:], best_temperature(*few)))
            chosen.append(loss_at(logits[480:], labels[480:], chosen_temperature(*few)))

    assert np.mean(chosen) < np.mean(best)


def test_one_image_chooses_nothing() -> None:
    """There is no other to try it on."""
    assert chosen_temperature(torch.tensor([[3.0, 0.0]]), torch.tensor([0])) == 1


@pytest.mark.parametrize("several", [False, True])
def test_many_scores_are_gone_through_in_blocks(several: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of thousands of classes all of them would be too much as doubles; the numbers are the same."""
    logits, labels = said_at(2.5, count=103)
    wanted = torch.eye(6, dtype=torch.bool)[labels] if several else labels
    functions = (best_temperature, calibrated_loss, cross_validated_loss, loss_at)
    whole = [function(logits, wanted) for function in functions]

    monkeypatch.setattr(temperature_module, "BLOCK", 10 * 6)

    assert [function(logits, wanted) for function in functions] == pytest.approx(whole, rel=1e-9)


def test_a_temperature_is_chosen_on_as_many_scores_as_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every fourth image of these, from all over the split; the loss is over all."""
    logits, labels = said_at(2.5, count=400)
    some = best_temperature(logits[::4], labels[::4])

    monkeypatch.setattr(temperature_module, "ENOUGH", 100 * 6)

    assert best_temperature(logits, labels) == some
    assert calibrated_loss(logits, labels) == pytest.approx(loss_at(logits, labels, some), rel=1e-12)
