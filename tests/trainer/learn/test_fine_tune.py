"""Lite0 changed a little for one's own images, from the head that was fitted on it."""

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.support.backbones import tiny_backbone
from vouch.bundle.training import Recipe
from vouch.sources.examples import Examples
from vouch.trainer.errors import TrainError
from vouch.trainer.learn.asked import Asked
from vouch.trainer.learn.backbone.backbone import lite0
from vouch.trainer.learn.backbone.lite0 import LAYERS
from vouch.trainer.learn.course import Epoch, Fitted
from vouch.trainer.learn.fine_tune import KEPT_LAYERS, TunedClassifier, changes_the_backbone, continued, fine_tune
from vouch.trainer.learn.frozen import FrozenClassifier
from vouch.trainer.learn.presets import recipe_for
from vouch.trainer.splits.split import Splits

RECIPE = Recipe(epochs=1, batch_size=6, learning_rate=2e-5, optimizer="adamw", model="backbone")
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
    before, tuned = logits(frozen), TunedClassifier(frozen).eval()
    again = deepcopy(frozen)

    tuned.freeze_into(again, SHAPE)

    assert torch.allclose(logits(tuned), before, atol=1e-4)
    assert torch.allclose(logits(again), before, atol=1e-4)


def test_deep_layers_and_head_change_the_first_layers_do_not(frozen: FrozenClassifier) -> None:
    """The classifier gets a backbone of its own, which says that it was changed; the same fit gives the same bytes."""
    changed, again = deepcopy(frozen), deepcopy(frozen)

    fitted = fine_tune(changed, splits(), replace(RECIPE, learning_rate=1e-4))

    assert [epoch.number for epoch in fitted.epochs] == [0, 1]
    assert fitted.best.number == 1
    assert fitted.backbone == changed.backbone.facts
    assert changed.backbone.facts.fine_tuned
    assert not frozen.backbone.facts.fine_tuned
    assert not torch.equal(changed.head.weight, frozen.head.weight)
    same = [weight in changed.backbone.graph for weight in weights_of(frozen)]
    assert same == [place < KEPT_LAYERS for place in range(len(LAYERS))]
    fine_tune(again, splits(), replace(RECIPE, learning_rate=1e-4))
    assert again.backbone.graph == changed.backbone.graph


def test_what_the_head_left_out_stays_out(frozen: FrozenClassifier) -> None:
    """Weights of features that cross-validation was not for are still zero after a step."""
    changed, last = deepcopy(frozen), frozen.deepest
    with torch.no_grad():
        changed.head.weight[:, last:] = 0

    assert fine_tune(changed, splits(), replace(RECIPE, learning_rate=1e-4)).best.number == 1

    assert not changed.head.weight[:, last:].any()
    assert not torch.equal(changed.head.weight[:, :last], frozen.head.weight[:, :last])


def weights_of(frozen: FrozenClassifier) -> list[bytes]:
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


def test_where_no_epoch_is_better_it_stays_as_it_was(frozen: FrozenClassifier) -> None:
    """A rate that breaks everything costs time alone."""
    kept = deepcopy(frozen)

    fitted = fine_tune(kept, splits(), replace(RECIPE, learning_rate=50.0))

    assert fitted.best.number == 0
    assert kept.backbone is frozen.backbone
    assert torch.equal(kept.head.weight, frozen.head.weight)


def test_another_backbone_cannot_be_changed() -> None:
    """There is no network in PyTorch for it."""
    other = FrozenClassifier(tiny_backbone(SHAPE), classes=3)

    with pytest.raises(TrainError, match="--fine-tune works only with lite0, not with tiny"):
        fine_tune(other, splits(), RECIPE)


def test_the_head_and_what_follows_are_told_as_one_fit() -> None:
    """Epochs are numbered on; where none of the later ones was better, the head's last is kept."""

    def fitted(count: int, best: int, fine_tuned: bool) -> Fitted:
        facts = tiny_backbone(SHAPE).facts.model_copy(update={"fine_tuned": fine_tuned})
        epochs = tuple(Epoch(number, 1.0, 0.5, 1.0, 1.0, 0.5, 10, 1.0) for number in range(count + 1))
        return Fitted(epochs, epochs[best], seconds=float(count), backbone=facts)

    better = continued(fitted(4, 4, fine_tuned=False), fitted(2, 1, fine_tuned=True))
    worse = continued(fitted(4, 4, fine_tuned=False), fitted(2, 0, fine_tuned=False))

    assert [epoch.number for epoch in better.epochs] == list(range(7))
    assert (better.best.number, worse.best.number) == (5, 4)
    assert better.seconds == 6
    assert better.backbone is not None
    assert better.backbone.fine_tuned


def test_its_recipe_has_few_small_steps_and_obeys_flags() -> None:
    """No more epochs for a small set; the head's penalty is found as ever."""
    usual = recipe_for(Asked("backbone", "backbone", fine_tune=True), (200, 224, 224, 3))
    asked = recipe_for(Asked("backbone", "backbone", fine_tune=True, epochs=9, learning_rate=1.0), (200, 64, 64))

    assert changes_the_backbone(usual)
    assert (usual.epochs, usual.batch_size, usual.weight_decay) == (3, 16, 0)
    assert (asked.epochs, asked.learning_rate) == (9, 1.0)
    assert not changes_the_backbone(recipe_for(Asked("backbone", "backbone"), (200, 224, 224, 3)))
