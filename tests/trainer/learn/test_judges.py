import numpy as np
import pytest
import torch

from vouch.sources.examples import Examples
from vouch.trainer.learn.judges import Judge, Judges
from vouch.trainer.learn.networks import Classifier
from vouch.trainer.learn.temperature import chosen_temperature

KNOWN = 24
"""Images of the first two classes; the image after them is the only one of the third."""


@pytest.mark.parametrize("several", [False, True])
def test_what_a_fold_has_not_learned_does_not_choose_the_temperature(several: bool) -> None:
    """Of a class that only its own images have, a fold's model can but be surely wrong: that says nothing of a model
    that has learned it."""
    of = np.append(np.arange(KNOWN) % 2, 2)
    labels = np.eye(3, dtype=np.bool_)[of] if several else of
    images = np.zeros((len(of), 8, 8), np.uint8)
    logits = torch.full((len(of), 3), -2.0)
    logits[torch.arange(KNOWN), torch.from_numpy(of[:KNOWN])] = 2.0
    logits[KNOWN] = torch.tensor([30.0, -30.0, -30.0])
    model = Classifier("linear", (8, 8), 3, task="multi_label" if several else "single_label").eval()
    rows = np.arange(len(of))
    parts = tuple(Judge(model, Examples(images, labels), part, logits[part]) for part in (rows[:10], rows[10:]))
    found = Judges(parts, "cross").temperature()

    assert found == chosen_temperature(logits[:KNOWN], torch.from_numpy(labels[:KNOWN]))
    assert found < 1 <= chosen_temperature(logits, torch.from_numpy(labels))
