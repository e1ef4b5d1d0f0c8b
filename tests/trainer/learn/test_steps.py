import numpy as np
import pytest
import torch

from vouch.bundle.training import Augmentation, Recipe
from vouch.sources.examples import Examples
from vouch.trainer.learn.effort import HARD
from vouch.trainer.learn.networks import Classifier
from vouch.trainer.learn.processes import ALONE
from vouch.trainer.learn.steps import Steps
from vouch.trainer.splits.split import Splits


@pytest.mark.parametrize("hard", [True, False])
def test_hard_images_are_seen_whole_and_equally_often(hard: bool) -> None:
    """Neither cropped nor, where they are answered wrong, more often than others; easy ones go on as they began."""
    part = Examples(np.zeros((8, 32, 32), dtype=np.uint8), np.arange(8) % 2)
    recipe = Recipe(*(5, 4, 0.1, "sgd"), augment=Augmentation(crop=0.5), focus=0.8, hard_epochs=12)
    labels = torch.from_numpy(part.labels)
    steps = Steps(Classifier("cnn", (32, 32), 2), Splits(("a", "b"), part, part, part, ()), labels, recipe, ALONE)
    known = HARD - 0.01 if hard else HARD

    assert [steps.go_on_longer(known, epochs) for epochs in (1, 2, 3)] == [False, hard, False]

    assert steps.schedule.steps == (12 if hard else 5) * 2
    assert steps.order.focus == (0 if hard else 0.8)
    variants = steps.variants.of(torch.zeros(2, 1, 32, 32), torch.Generator())
    assert variants.shape[2:] == ((32, 32) if hard else (16, 16))
