from pathlib import Path

import pytest

from tests.bundle.made_up import publish_made_up
from vouch.bundle.errors import InvalidBundle
from vouch.bundle.misplaced import not_a_models_folder, without_models
from vouch.bundle.opening import open_bundle
from vouch.bundle.store import ModelsFolder


@pytest.fixture(autouse=True)
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """`models` with two versions of pets, in the folder that one is in."""
    monkeypatch.chdir(tmp_path)
    for _ in range(2):
        publish_made_up(ModelsFolder(tmp_path / "models"))
    return tmp_path / "models"


@pytest.mark.parametrize(
    ("path", "wrong"),
    [
        ("models", ""),
        ("models/", ""),
        (".", ""),
        (
            "models/pets",
            "models/pets is the folder of one model, with version 1, 2; expected a models folder, which "
            "contains NAME/VERSION: models",
        ),
        (
            "models/pets/2",
            "models/pets/2 is one version of a model; expected a models folder, which contains NAME/VERSION: models",
        ),
        (
            "models/pets/2/model.onnx",
            "models/pets/2/model.onnx is a file; expected a models folder, which contains NAME/VERSION",
        ),
        ("modells", "the models folder modells does not exist; did you mean models?"),
        (
            "models/petz",
            "models/petz does not exist; models/pets is the folder of one model, with version 1, 2; expected a models "
            "folder, which contains NAME/VERSION: models",
        ),
        ("nowhere", "the models folder nowhere does not exist; vouch train makes one"),
    ],
)
def test_one_folder_too_deep_is_said_with_the_one_that_was_meant(path: str, wrong: str) -> None:
    """What is there, what was expected, and where that is; a folder that may get models later is nothing wrong."""
    assert not_a_models_folder(Path(path)) == wrong


def test_the_folder_above_the_one_that_one_is_in_has_a_name(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`vouch serve .` within a model's folder."""
    monkeypatch.chdir(models / "pets")

    assert not_a_models_folder(Path()).endswith("expected a models folder, which contains NAME/VERSION: ..")


def test_a_model_may_be_named_by_a_number(tmp_path: Path) -> None:
    """A models folder with the model 1 in it is not the folder of a model."""
    publish_made_up(ModelsFolder(tmp_path / "numbered"), "1")

    assert not_a_models_folder(tmp_path / "numbered") == ""


@pytest.mark.parametrize(
    ("made", "found"),
    [
        ([], "here is empty; vouch train publishes there, as NAME/VERSION"),
        (
            ["notes/", "cats/"],
            "here contains no model, but cats, notes; expected a models folder, which contains NAME/VERSION",
        ),
        (
            ["a/", "b/", "c/", "d/", "e/", "f/", "g/"],
            "here contains no model, but a, b, c, d, e and 2 more; expected a models folder, which contains "
            "NAME/VERSION",
        ),
        (
            ["models/pets/1/manifest.json"],
            "here contains no model, but here/models does; expected a models folder, which contains NAME/VERSION",
        ),
        (
            ["pets/v1/manifest.json"],
            "here/pets contains v1; expected a models folder, which contains NAME/VERSION, with a number as VERSION, "
            "such as here/pets/1",
        ),
    ],
)
def test_a_folder_without_models_is_described(made: list[str], found: str) -> None:
    """Whether it is only empty, or something else than was expected."""
    Path("here").mkdir()
    for one in made:
        path = Path("here") / one
        (path if one.endswith("/") else path.parent).mkdir(parents=True)
        if not one.endswith("/"):
            path.write_text("{}")

    assert without_models(Path("here")) == found


@pytest.mark.parametrize(
    ("path", "hint"),
    [
        ("models/pets", "; models/pets contains version 1, 2; expected one of them: models/pets/2"),
        ("models", "; models is a models folder; expected one version of a model: models/pets/2"),
        ("models/pets/3", "; models/pets has version 1, 2"),
        (
            "models/pets/2/model.onnx",
            "; models/pets/2/model.onnx is a file; expected the folder of one version, such as models/digits/1",
        ),
        ("nowhere", ""),
    ],
)
def test_what_is_no_bundle_is_described(path: str, hint: str) -> None:
    """`vouch verify models/pets` names the versions that there are."""
    with pytest.raises(InvalidBundle, match="is not a bundle: manifest.json cannot be read") as refused:
        open_bundle(Path(path))

    assert str(refused.value).endswith(f"){hint}")


def test_a_bundle_in_a_folder_of_another_name_is_not_overlooked(models: Path) -> None:
    """`Pets` cannot be a model's name; it is listed all the same, and to open it says where it has to be."""
    (models / "pets").rename(models / "Pets")
    folder = ModelsFolder(models)

    assert folder.names() == ["Pets"]
    with pytest.raises(InvalidBundle, match="Pets/1 names pets version 1, which belongs in .*models/pets/1"):
        folder.open("Pets", 1)


def test_what_cannot_be_read_is_not_looked_into(models: Path) -> None:
    """A message about a folder never fails itself."""
    (models / "loop").symlink_to("loop")

    why = f"the models folder {models / 'loop'} does not exist; vouch train makes one"
    assert not_a_models_folder(models / "loop") == why
    assert not_a_models_folder(models) == ""
