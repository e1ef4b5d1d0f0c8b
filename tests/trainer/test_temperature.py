import numpy as np
import pytest
import torch
from scipy.optimize import minimize_scalar
from sklearn.metrics import log_loss
from torch import Tensor

from vouch.trainer.temperature import LARGEST, SMALLEST, best_temperature, calibrated_loss


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
