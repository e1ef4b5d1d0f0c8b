import numpy as np
import pytest
import torch
from scipy.optimize import minimize_scalar
from sklearn.metrics import log_loss
from torch import Tensor

from trainer.temperature import LARGEST, SMALLEST, best_temperature, calibrated_loss


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
    """scipy's search over scikit-learn's log loss finds the same one, with the same loss."""
    logits, labels = said_at(temperature)

    def loss(log_temperature: float) -> float:
        probabilities = (logits.double() / np.exp(log_temperature)).softmax(dim=1)
        return float(log_loss(labels, probabilities.numpy()))

    found = minimize_scalar(loss, bounds=(-3, 3), method="bounded", options={"xatol": 1e-7})

    assert best_temperature(logits, labels) == pytest.approx(np.exp(found.x), rel=1e-4)
    assert calibrated_loss(logits, labels) == pytest.approx(found.fun, rel=1e-6)


def test_several_labels_have_one_temperature() -> None:
    """Labels drawn from sigmoids of the scores are honest at 1; doubled scores at 2."""
    random = torch.Generator().manual_seed(0)
    honest = 2 * torch.randn(4000, 5, generator=random)
    labels = torch.rand(4000, 5, generator=random) < honest.sigmoid()

    assert best_temperature(honest, labels) == pytest.approx(1, rel=0.05)
    assert best_temperature(2 * honest, labels) == pytest.approx(2 * best_temperature(honest, labels), rel=1e-4)
    assert calibrated_loss(2 * honest, labels) == pytest.approx(calibrated_loss(honest, labels), rel=1e-6)


def test_without_a_mistake_there_is_a_bound() -> None:
    """Where all answers are right the boldest is best, where all are wrong the softest; both are bounded."""
    logits = torch.tensor([[3.0, 0.0], [0.0, 3.0]])

    assert best_temperature(logits, torch.tensor([0, 1])) == pytest.approx(SMALLEST, rel=1e-3)
    assert best_temperature(logits, torch.tensor([1, 0])) == pytest.approx(LARGEST, rel=1e-3)
    assert SMALLEST <= best_temperature(torch.zeros(3, 4), torch.tensor([0, 1, 2])) <= LARGEST
