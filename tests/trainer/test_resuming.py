import json
import os
from pathlib import Path
from typing import Any

import pytest

from vouch.bundle.training import Augmentation, Recipe
from vouch.sources.split_names import Part
from vouch.trainer.learn.checkpoint import Checkpoint, identity_of
from vouch.trainer.learn.processes import ALONE
from vouch.trainer.resuming import open_checkpoint
from vouch.trainer.settings import TrainSettings

pytestmark = pytest.mark.usefixtures("no_settings")
RECIPE = Recipe(epochs=300, batch_size=32, learning_rate=0.1, optimizer="adamw", augment=Augmentation())
DIGESTS: dict[Part, str] = {"fit": "1" * 64, "tune": "2" * 64, "validation": "3" * 64}


def opened(recipe: Recipe = RECIPE, digests: dict[Part, str] = DIGESTS, **settings: Any) -> Checkpoint:
    return open_checkpoint(TrainSettings(model="linear", **settings), recipe, digests, ALONE, {})


def test_a_checkpoint_of_other_settings_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    """T27: `--resume --epochs 305` after an interrupted training of 300 says which is kept, and how it differs."""
    kept = opened(epochs=300)
    kept.save({}, "1 epoch")
    capsys.readouterr()

    longer = opened(Recipe(**{**vars(RECIPE), "epochs": 305}), resume=True, epochs=305)

    said = capsys.readouterr().err
    assert not longer.exists()
    assert f"checkpoint of a training with other settings: {kept.path} (0.0 MB, written just now): " in said
    assert ": --epochs 300 there, 305 here\n" in said
    assert "--remove-checkpoints removes these\n" in said
    assert "and images: starting from the beginning\n" in said


def test_only_what_was_asked_for_is_called_by_its_flag(capsys: pytest.CaptureFixture[str]) -> None:
    """What a recipe made of it, and of the images, is no flag that anybody has given."""
    kept = opened(seed=7)
    kept.save({}, "1 epoch")
    capsys.readouterr()

    opened(Recipe(**{**vars(RECIPE), "epochs": 96, "batch_size": 64, "threads": 4}), label_smoothing=0.2)

    said = capsys.readouterr().err
    differences = "--label-smoothing not given there, 0.2 here; --seed 7 there, not given here; threads 1 there, 4 here"
    assert f": {differences}\n" in said


def test_another_recipe_of_the_same_settings_is_named_by_its_numbers(capsys: pytest.CaptureFixture[str]) -> None:
    """As another version of vouch may make of them."""
    opened().save({}, "1 epoch")

    opened(Recipe(**{**vars(RECIPE), "epochs": 96, "augment": Augmentation(zoom=0.5)}))

    assert ": epochs 300 there, 96 here; augment.zoom 0.0 there, 0.5 here\n" in capsys.readouterr().err


def test_steps_in_other_numbers_are_another_training(capsys: pytest.CaptureFixture[str]) -> None:
    """A processor of other instructions does not go on with what this one has begun, unless --precision says how."""
    kept = opened(Recipe(**{**vars(RECIPE), "precision": "bfloat16"}))
    kept.save({}, "1 epoch")

    here = opened(resume=True)

    assert not here.exists()
    assert ": precision bfloat16 there, float32 here\n" in capsys.readouterr().err


def test_other_images_and_another_torch_are_differences_too(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """All that decides a checkpoint's name can be the reason why it is not gone on from."""
    opened().save({}, "nothing")
    monkeypatch.setattr("torch.__version__", "2.99")

    opened(digests=DIGESTS | {"fit": "4" * 64}, resume=True)

    said = capsys.readouterr().err
    assert " there, 2.99 here; other images\n" in said


def test_checkpoints_of_other_settings_are_removed_when_told_to(capsys: pytest.CaptureFixture[str]) -> None:
    """They alone: its own is kept, and gone on from with --resume."""
    own, other = opened(), opened(seed=7)
    own.save({}, "nothing")
    other.save({}, "nothing")

    again = opened(resume=True, remove_checkpoints=True)

    assert again.path == own.path
    assert again.exists()
    assert not other.path.exists()
    assert f"removed checkpoints with other settings: {other.path}\n" in capsys.readouterr().err


@pytest.mark.parametrize("content", [b"", b"x" * 100, b"x" * 64 + b"[1]\n", b"x" * 64 + b'{"settings": 1}\n'])
def test_a_checkpoint_that_says_nothing_of_itself_is_named_all_the_same(
    content: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    """As of another version: no difference is made up, and nothing fails."""
    path = Path("models/digits/.training-0123456789abcdef.pt")
    path.parent.mkdir(parents=True)
    path.write_bytes(content)

    opened(resume=True)

    assert f"{path} (0.0 MB, written just now): written by another version of vouch\n" in capsys.readouterr().err


def test_an_old_checkpoint_says_its_age(capsys: pytest.CaptureFixture[str]) -> None:
    """In hours, from when it was last written."""
    kept = opened(validation_share=0.3)
    kept.save({}, "nothing")
    then = kept.path.stat().st_mtime - 7200
    os.utime(kept.path, (then, then))

    opened()

    assert "(0.0 MB, 2 hours old): --validation-share 0.3 there, 0.2 here\n" in capsys.readouterr().err


def test_a_checkpoint_says_of_what_training_it_is() -> None:
    """In one line of JSON behind its digest."""
    kept = opened()
    kept.save({}, "nothing")

    identity = json.loads(identity_of(kept.path) or "")
    assert identity["recipe"]["epochs"] == 300
    assert "data" not in identity["settings"], "a path of this machine"
    assert Checkpoint(kept.path.parent, identity_of(kept.path) or "", {}).path == kept.path
