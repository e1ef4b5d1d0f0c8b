from dataclasses import replace

import pytest

from tests.trainer.report.runs import noise_splits, on_a_backbone
from vouch.trainer.report.finished import Run
from vouch.trainer.report.next_steps import backbone, bigger, next_steps
from vouch.trainer.report.recorder import Recorder


@pytest.mark.parametrize(
    ("preset", "flags"), [("digits", "--model cnn"), ("photos", "--backbone lite0"), ("best", None)]
)
def test_a_bigger_model_is_named_by_its_flags(
    learned_digits: tuple[Run, Recorder], preset: str, flags: str | None
) -> None:
    """Of a single layer another network, of photographs a backbone; of the best there is none."""
    run, _ = learned_digits

    assert bigger(replace(run, recipe=replace(run.recipe, preset=preset))) == flags


def test_a_backbone_is_named_where_few_photographs_were_learned_from_without_one(
    learned_digits: tuple[Run, Recorder],
) -> None:
    """By the rule by which Vouch chooses; not for digits, and not beside a backbone."""
    run, _ = learned_digits
    frozen, _ = on_a_backbone(noise_splits(("ants", "bees"), (12, 10, 3)))
    photos = replace(run, recipe=replace(run.recipe, preset="photos"))

    assert backbone(photos) == "--backbone lite0"
    assert "A backbone (--backbone lite0) would probably help most" in next_steps(photos).model
    assert backbone(run) is None
    assert backbone(replace(frozen, recipe=photos.recipe)) is None


def test_the_sentences_are_of_the_run(learned_digits: tuple[Run, Recorder]) -> None:
    """They name a class, an image and a share of this very run; on a backbone what can be done to it."""
    run, _ = learned_digits
    steps = next_steps(run)
    doubt = run.hindsight.doubts[0]
    frozen, _ = on_a_backbone(noise_splits(("ants", "bees"), (12, 10, 3)))

    assert any(name in steps.images for name in run.splits.classes)
    assert run.splits.by_name[doubt.part].names[doubt.row] in steps.labels
    assert "kernel ridge regression on the pixels" in steps.model
    assert "another --backbone" in next_steps(frozen).model
