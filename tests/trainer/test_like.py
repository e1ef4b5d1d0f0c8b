import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.tiny import publish_tiny
from vouch.bundle.backbone import BackboneFacts
from vouch.bundle.opening import open_bundle
from vouch.bundle.store import ModelsFolder
from vouch.bundle.training import Circumstances, Recipe, Setting, Training
from vouch.trainer.errors import TrainError
from vouch.trainer.like import base_of, differences, note_threads, recipe_like, what_came_of_it
from vouch.trainer.settings import TrainSettings

pytestmark = pytest.mark.usefixtures("no_settings")
RECIPE: dict[str, Any] = {"epochs": 7, "batch_size": 32, "learning_rate": 0.1, "optimizer": "adamw", "threads": 3}
BACKBONE = BackboneFacts(
    name="net.onnx", source="a file", weights_sha256="a" * 64, size=(8, 8), mean=(0.0,), scale=(1.0,), features=2
)


def training(asked: dict[str, Setting] | None = None, **others: Any) -> Training:
    values: dict[str, Any] = {
        "asked": asked or {},
        "recipe": Recipe(**RECIPE),
        "seed": 0,
        "seconds": 1.0,
        "data": "pets",
        "data_digest": "0" * 64,
        "splits": {},
        "libraries": {"numpy": "2.1"},
        "source_revision": None,
    }
    return Training(**values | others)


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """Of a model that was trained on `pets`, which is a name alone."""
    path = publish_tiny(ModelsFolder(tmp_path / "models")).path
    content = json.loads((path / "manifest.json").read_text())
    content["training"] |= {"asked": {"model": "linear", "seed": 5, "data": "pets", "later": True}, "data": "pets"}
    content["training"]["recipe"] = RECIPE
    (path / "manifest.json").write_text(json.dumps(content))
    return path


def test_settings_that_decide_are_taken_over(bundle: Path, tmp_path: Path) -> None:
    """Those that this version knows, the name, and the threads that were in fact used."""
    (tmp_path / "pets").mkdir()

    base = base_of(bundle, TrainSettings())

    assert base == {
        "model": "linear",
        "seed": 5,
        "fit": "stretch",
        "keep_alike": False,
        "data": "pets",
        "name": "tiny",
        "threads": 3,
        "multi_label": False,
    }


def test_groups_are_taken_over(bundle: Path, tmp_path: Path) -> None:
    """And whether near duplicates were kept on one side, which older versions did not do."""
    (tmp_path / "pets").mkdir()
    content = json.loads((bundle / "manifest.json").read_text())
    content["training"]["asked"] |= {"groups": "patient", "keep_alike": True}
    (bundle / "manifest.json").write_text(json.dumps(content))

    base = base_of(bundle, TrainSettings())

    assert (base["groups"], base["keep_alike"]) == ("patient", True)


def test_data_that_is_not_here_must_be_passed(bundle: Path) -> None:
    """Its name alone is recorded: one sentence says so, and what is passed is taken."""
    with pytest.raises(TrainError, match=r"was trained on 'pets', .* only its name is recorded: pass DATA too"):
        base_of(bundle, TrainSettings())

    assert "data" not in base_of(bundle, TrainSettings(data="elsewhere/pets"))


def test_a_backbones_file_that_is_not_here_must_be_passed(bundle: Path, tmp_path: Path) -> None:
    """Its name alone is recorded too."""
    content = json.loads((bundle / "manifest.json").read_text())
    content["training"]["asked"]["backbone"] = "dino.onnx"
    (bundle / "manifest.json").write_text(json.dumps(content))

    with pytest.raises(TrainError, match=r"has the backbone dino.onnx, .* pass --backbone too"):
        base_of(bundle, TrainSettings(data=str(tmp_path)))

    base_of(bundle, TrainSettings(data=str(tmp_path), backbone="elsewhere/dino.onnx"))


def test_the_recorded_recipe_holds_unless_a_flag_changes_it(bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Seed, balance and threads are no part of what makes it another recipe."""
    today = Recipe(**RECIPE | {"epochs": 99, "threads": 2, "seed": 6})

    same = recipe_like(bundle, TrainSettings(model="linear", seed=6, balance=True), today)
    other = recipe_like(bundle, TrainSettings(model="linear", epochs=99), today)

    assert same == Recipe(**RECIPE | {"threads": 2, "seed": 6, "balance": True})
    assert other == today
    assert "because --epochs differs" in capsys.readouterr().err

    recipe_like(bundle, TrainSettings(model="linear", epochs=99, learning_rate=0.1), today)
    assert "because --epochs, --learning-rate differ\n" in capsys.readouterr().err


def test_more_threads_than_cores_are_said(capsys: pytest.CaptureFixture[str]) -> None:
    """They are taken all the same, because the weights depend on their number."""
    note_threads(Recipe(**RECIPE), cores=4)
    note_threads(Recipe(**RECIPE), cores=2)

    assert capsys.readouterr().err == "using 3 threads as recorded, on 2 cores: slower, but the same result\n"


def test_what_was_otherwise_is_named() -> None:
    """Settings, recipe, backbone, processor, torch, threads and libraries; what nobody recorded is no difference."""
    there = Circumstances(processor="one", flags=("avx2",), threads=2, torch="2.12", device="cpu", processes=1)
    here = Circumstances(processor="two", flags=(), threads=1, torch="2.13", device="cpu", processes=1, precision="x")

    one, other = (BACKBONE.model_copy(update={"weights_sha256": letter * 64}) for letter in "ab")
    before = training(circumstances=there, recipe=Recipe(**RECIPE | {"seed": 1}), backbone=one)
    after = training(
        circumstances=here, recipe=Recipe(**RECIPE | {"seed": 2}), libraries={"numpy": "2.2"}, backbone=other
    )

    assert differences(before, after) == [
        *("recipe.seed 1 there, 2 here", "backbone.sha256 aaaaaaaa there, bbbbbbbb here"),
        *("processor one there, two here", "flags avx2 there, none here"),
        *("threads 2 there, 1 here", "torch 2.12 there, 2.13 here", "numpy 2.1 there, 2.2 here"),
    ]


@pytest.mark.parametrize(("deterministic", "said"), [(True, False), (None, False), (False, True)])
def test_nothing_is_promised_on_a_gpu(bundle: Path, deterministic: bool | None, said: bool) -> None:
    """Unless torch's deterministic algorithms are on, a difference in the last bits needs no other reason."""
    before = open_bundle(bundle).manifest
    where = Circumstances(device="cuda", deterministic=deterministic)
    graph = {**before.files, "model.onnx": before.files["model.onnx"].model_copy(update={"sha256": "f" * 64})}
    after = before.model_copy(
        update={"files": graph, "training": before.training.model_copy(update={"circumstances": where})}
    )

    words = what_came_of_it(bundle, before, after)

    assert "(no recorded setting differs" in words
    assert ("a GPU gives identical results only with" in words) is said
    assert "is identical to" in what_came_of_it(bundle, before, before)
