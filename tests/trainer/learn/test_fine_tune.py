"""Lite0 changed a little for one's own images, from the head that was fitted on it."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.support.backbones import tiny_backbone
from vouch.bundle.training import Augmentation, Recipe
from vouch.sources.examples import Examples
from vouch.trainer.errors import TrainError
from vouch.trainer.learn.backbone.backbone import lite0
from vouch.trainer.learn.backbone.lite0 import LAYERS
from vouch.trainer.learn.fine_tune import KEPT_LAYERS, TunedClassifier, fine_tune, fine_tuning
from vouch.trainer.learn.frozen import FrozenClassifier
from vouch.trainer.learn.networks import weights_digest
from vouch.trainer.splits.split import Splits

HEAD = Recipe(epochs=100, batch_size=256, learning_rate=1.0, optimizer="adamw")
SHAPE = (64, 64)


def splits() -> Splits:
    draw = np.random.default_rng(0)
    labels = np.arange(12) % 3
    images = draw.integers(0, 120, (12, *SHAPE), dtype=np.uint8) + (labels * 60)[:, None, None].astype(np.uint8)
    part = Examples(images, labels)
    return Splits(("a", "b", "c"), part, Examples(images[::2], labels[::2]), part, ())


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def frozen() -> FrozenClassifier:
    torch.manual_seed(0)
    made = FrozenClassifier(lite0(SHAPE), classes=3)
    made.see_features(torch.from_numpy(made.features_of(splits().fit)))
    return made.eval()


def logits(classifier: FrozenClassifier | TunedClassifier) -> torch.Tensor:
    with torch.no_grad():
        found: torch.Tensor = classifier(torch.from_numpy(splits().fit.images[:4]))
    return found


def test_it_begins_as_what_was_frozen_and_can_be_frozen_again(frozen: FrozenClassifier) -> None:
    """Before the first step both answer the same, and so does the graph that is made of the weights."""
    tuned = TunedClassifier(frozen).eval()

    assert torch.allclose(logits(tuned), logits(frozen), atol=1e-4)
    assert torch.allclose(logits(tuned.frozen(frozen, SHAPE)), logits(frozen), atol=1e-4)


def test_deep_layers_and_head_change_the_first_layers_do_not(frozen: FrozenClassifier) -> None:
    """And what comes out says that it was changed; the given one is as it was."""
    before, head = weights_digest(frozen), frozen.head.weight.detach().clone()
    recipe = replace(fine_tuning(HEAD, None, epochs=1, rate=1e-4), batch_size=6)

    changed, fitted = fine_tune(frozen, splits(), recipe)

    assert [epoch.number for epoch in fitted.epochs] == [0, 1]
    assert fitted.best.number == 1
    assert changed.backbone.facts.fine_tuned
    assert not frozen.backbone.facts.fine_tuned
    assert weights_digest(frozen) == before
    assert not torch.equal(changed.head.weight, head)
    same = [name in changed.backbone.graph for name in kept_weights(frozen)]
    assert same == [place < KEPT_LAYERS for place in range(len(LAYERS))]
    again, _ = fine_tune(frozen, splits(), recipe)
    assert again.backbone.graph == changed.backbone.graph


def kept_weights(frozen: FrozenClassifier) -> list[bytes]:
    """Of each layer, the bytes of its weight as a graph has them."""
    found = TunedClassifier(frozen).lite0.convolutions()
    return [weight.tobytes() for weight, _ in found.values()]


def test_rates_grow_with_depth(frozen: FrozenClassifier) -> None:
    """From nothing over a tenth to the whole; the head has the whole too."""
    tuned = TunedClassifier(frozen)

    assert len(list(tuned.parameters())) == 2 * len(LAYERS) + 2
    shares = [tuned.rate_share(f"network.0.layers.{place}.weight") for place in range(len(LAYERS))]

    assert shares[:KEPT_LAYERS] == [0.0] * KEPT_LAYERS
    assert shares[KEPT_LAYERS] == pytest.approx(0.1)
    assert shares[-1] == tuned.rate_share("network.1.weight") == 1.0
    assert shares == sorted(shares)


def test_where_no_epoch_is_better_the_frozen_one_is_kept(frozen: FrozenClassifier) -> None:
    """A rate that breaks everything costs time alone."""
    recipe = replace(fine_tuning(HEAD, Augmentation(), epochs=1, rate=50.0), batch_size=6, label_smoothing=0.1)

    kept, fitted = fine_tune(frozen, splits(), recipe)

    assert fitted.best.number == 0
    assert kept is frozen


def test_another_backbone_cannot_be_changed() -> None:
    """There is no network in PyTorch for it."""
    other = FrozenClassifier(tiny_backbone(SHAPE), classes=3)

    with pytest.raises(TrainError, match="--fine-tune changes lite0 alone, not tiny"):
        fine_tune(other, splits(), fine_tuning(HEAD, None))
