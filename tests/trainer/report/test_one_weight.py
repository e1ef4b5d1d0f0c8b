import base64
import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from tests.trainer.report.runs import RECIPE, finished, noise_splits, on_a_backbone
from vouch.trainer.kinds import ModelKind
from vouch.trainer.report.finished import Run
from vouch.trainer.report.looks import probabilities_of
from vouch.trainer.report.one_weight import chosen_rows, one_weight

ONE_EPOCH = replace(RECIPE, epochs=1)


def floats(packed: str) -> np.ndarray:
    return np.frombuffer(base64.b64decode(packed), "<f4").astype(np.float64)


def scores_by(data: dict[str, Any], image: dict[str, Any]) -> np.ndarray:
    """Of the shown classes, as the page's script adds them up."""
    return np.array(
        [
            floats(image["inputs"]) @ floats(one["weights"]) + image["rest"][k] + one["bias"] if one["weights"] else 0.0
            for k, one in enumerate(data["classes"])
        ]
    )


def answered(run: Run) -> tuple[np.ndarray, np.ndarray]:
    """Scores and calibrated probabilities of the images that are offered, by the model itself."""
    images = run.splits.validation.images[chosen_rows(run.exam.probabilities, run.several)]
    with torch.no_grad():
        scores = run.classifier(torch.from_numpy(images))
        return scores.numpy(), probabilities_of(scores / run.exam.calibration.temperature, run.several).numpy()


@pytest.mark.parametrize(
    ("kind", "shape", "classes", "several"),
    [
        ("linear", (8, 8), 3, False),
        ("linear", (100, 80, 3), 2, False),
        ("mlp", (5, 9, 2), 21, False),
        ("cnn", (12, 10), 4, True),
    ],
)
def test_the_sums_are_the_models_own(kind: ModelKind, shape: tuple[int, ...], classes: int, several: bool) -> None:
    """Of every model: what is shown, and what is added as one number, gives its scores and probabilities."""
    names = tuple(f"class {number}" for number in range(classes))
    run, _ = finished(noise_splits(names, shape, several), kind, ONE_EPOCH)
    made = one_weight(run)
    scores, shares = answered(run)
    shown = [names.index(name) for name in made["classes"]]

    for row, image in enumerate(made["data"]["images"]):
        found = scores_by(made["data"], image)
        assert found == pytest.approx(scores[row, shown], abs=1e-4)
        scaled = found / run.exam.calibration.temperature
        if several:
            assert 1 / (1 + np.exp(-scaled)) == pytest.approx(shares[row, shown], abs=1e-5)
        else:
            all_of_them = np.exp(scaled).sum() + (np.exp(image["others"]) if image["others"] is not None else 0)
            assert np.exp(scaled) / all_of_them == pytest.approx(shares[row, shown], abs=1e-5)
    assert len(shown) == min(classes, 12)
    assert (made["data"]["thresholds"] is None) == (not several)
    assert len(json.dumps(made["data"])) < 50_000


def test_one_weight_alone_can_change_any_answer() -> None:
    """The slider goes far enough: with its whole way the second most probable class gets the highest score."""
    run, _ = on_a_backbone(noise_splits(("a", "b", "c"), (12, 10, 3)))
    data = one_weight(run)["data"]

    for image in data["images"]:
        best = np.sort(scores_by(data, image))
        reached = 100 * data["step"] * np.abs(floats(image["inputs"])).max()
        assert reached >= best[-1] - best[-2]


def test_the_image_that_the_model_is_least_sure_of_comes_first() -> None:
    """Then the first ones; none twice, and no more than there are."""
    assert chosen_rows(np.array([[0.9, 0.1], [0.6, 0.4], [0.2, 0.8]]), several=False).tolist() == [1, 0, 2]
    assert chosen_rows(np.array([[0.9, 0.1], [0.99, 0.45]]), several=True).tolist() == [1, 0]
    assert chosen_rows(np.full((9, 2), 0.5), several=False).tolist() == [0, 1, 2]
