from pathlib import Path

import pytest

from vouch.sources.errors import SourceError
from vouch.sources.folder_rules import AS_IT_IS, FolderRules
from vouch.sources.layout import Listing, list_files, of_one_class


def put(folder: Path, *paths: str) -> None:
    """Empty files: none of them is read here."""
    for path in paths:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).touch()


def found(listing: Listing, folder: Path) -> dict[str, list[str]]:
    """Split -> `label path`, in order."""
    return {
        split: [f"{label} {path.relative_to(folder)}" for path, label in files]
        for split, files in listing.files.items()
    }


def counts(listing: Listing) -> dict[str, int]:
    return {reason: things.count for reason, things in listing.left_out.by_reason.items()}


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("train", "valid"),
        ("training", "testing"),
        ("Train", "validate"),
        ("train", "dev"),
        ("training_set", "test_set"),
        ("seg_train/seg_train", "seg_test/seg_test"),
        ("archive/data/train", "archive/data/val"),
        ("pets_train", "pets_test"),
        ("0_train", "1_val"),
        ("train_full", "test"),
    ],
)
def test_two_splits_are_fit_and_validation(tmp_path: Path, first: str, second: str) -> None:
    """Whatever they are called, in any case, doubled or in a folder of their own; one note says how they were taken."""
    put(tmp_path, *(f"{split}/{label}/1.png" for split in (first, second) for label in ("cat", "dog")))

    listing = list_files(tmp_path)

    assert found(listing, tmp_path) == {
        "fit": [f"cat {first}/cat/1.png", f"dog {first}/dog/1.png"],
        "validation": [f"cat {second}/cat/1.png", f"dog {second}/dog/1.png"],
    }
    names = [split.split("/")[-2 if split.startswith("seg") else -1] for split in (first, second)]
    assert listing.notes == (f"splits: {names[0]} as fit, {names[1]} as validation",)
    assert not listing.left_out


def test_of_three_splits_the_middle_one_is_tune(tmp_path: Path) -> None:
    """The commonest layout on the web."""
    put(tmp_path, "train/a/1.png", "valid/a/1.png", "test/a/1.png")

    assert list(list_files(tmp_path).files) == ["validation", "fit", "tune"]


def test_a_split_alone_is_one(tmp_path: Path) -> None:
    """What is missing is made of it by whoever trains."""
    put(tmp_path, "train/a/1.png", "train/b/1.png", "val/.DS_Store")

    listing = list_files(tmp_path)

    assert found(listing, tmp_path) == {"fit": ["a train/a/1.png", "b train/b/1.png"]}
    assert counts(listing) == {"system": 1, "empty_folder": 1}


@pytest.mark.parametrize("test", ["test", "test/unknown", "test/test", "test1"])
def test_a_test_split_without_labels_is_left_out(tmp_path: Path, test: str) -> None:
    """Beside a split that is trained on, as competitions have it; its images are counted."""
    put(tmp_path, "train/a/1.png", "val/a/1.png", *(f"{test}/{i}.png" for i in range(7)), "unlabeled/1.png")

    listing = list_files(tmp_path)

    assert list(listing.files) == ["fit", "validation"]
    assert (counts(listing), listing.left_out.images) == ({"unlabelled": 8}, 8)


def test_folders_below_a_class_are_read(tmp_path: Path) -> None:
    """Labels are the first level, however deep a file is; a file's own folder comes before those in it."""
    put(tmp_path, "cat/2024/a.png", "cat/b.png", "cat/2024/07/c.png", "dog/x.png/1.png")

    assert found(list_files(tmp_path), tmp_path)["all"] == [
        "cat cat/b.png",
        "cat cat/2024/a.png",
        "cat cat/2024/07/c.png",
        "dog dog/x.png/1.png",
    ]


def test_stray_things_are_left_out_by_reason(tmp_path: Path) -> None:
    """None of them stops anything; images are counted apart."""
    put(tmp_path, "cat/1.png", "dog/1.png", "README.md", "lonely.png")
    put(tmp_path, "__MACOSX/cat/._1.png", "@eaDir/x.jpg", "cat/.ipynb_checkpoints/1-checkpoint.png", "cat/Thumbs.db")
    put(tmp_path, "cat/desktop.ini", "dog/.DS_Store", "dog/._1.png", "dog/2.heic", "notes/a.txt")
    (tmp_path / "owl").mkdir()
    (tmp_path / "gone").symlink_to(tmp_path / "nowhere")

    listing = list_files(tmp_path)

    assert found(listing, tmp_path)["all"] == ["cat cat/1.png", "dog dog/1.png"]
    assert counts(listing) == {
        "system": 7,
        "other_file": 2,
        "dangling_link": 1,
        "other_kind": 1,
        "empty_folder": 2,
        "unlabelled": 1,
    }
    assert listing.left_out.images == 2


def test_links_to_folders_are_followed_once(tmp_path: Path) -> None:
    """A class may be a link; one to a folder above, or to one that was read, ends no walk and doubles no image."""
    data, elsewhere = tmp_path / "data", tmp_path / "elsewhere"
    put(data, "cat/1.png", "owl/1.png")
    put(elsewhere, "1.png")
    (data / "dog").symlink_to(elsewhere)
    (data / "cat" / "up").symlink_to(data)
    (data / "cat" / "owls").symlink_to(data / "owl")
    (data / "self").symlink_to(data / "self")
    (data / "all").symlink_to(tmp_path)

    listing = list_files(data)

    assert sorted(found(listing, data)["all"]) == ["cat cat/1.png", "cat cat/owls/1.png", "dog dog/1.png"]
    assert counts(listing) == {"linked_again": 3, "dangling_link": 1}


def test_names_may_say_labels(tmp_path: Path) -> None:
    """In a flat folder or in splits; a few names without one are left out."""
    put(tmp_path / "flat", "cat.0.png", "dog.0.png", "more/dog.1.png", "00.png")
    put(tmp_path / "split", "train/cat.0.png", "train/dog.0.png", "test1/1.png")
    rules = FolderRules(label_from=r"^(\w*[a-z1])\.")

    flat, split = list_files(tmp_path / "flat", rules), list_files(tmp_path / "split", rules)

    assert found(flat, tmp_path / "flat")["all"] == ["cat cat.0.png", "dog dog.0.png", "dog more/dog.1.png"]
    assert (counts(flat), counts(split)) == ({"unlabelled": 1}, {"unlabelled": 1})
    assert found(split, tmp_path / "split") == {"fit": ["cat train/cat.0.png", "dog train/dog.0.png"]}


def test_a_pattern_with_a_slash_is_looked_for_in_the_path(tmp_path: Path) -> None:
    """From the folder on."""
    put(tmp_path, "2024/cat/1.png", "2024/dog/1.png")

    listing = list_files(tmp_path, FolderRules(label_from="/([a-z]+)/"))

    assert found(listing, tmp_path)["all"] == ["cat 2024/cat/1.png", "dog 2024/dog/1.png"]


@pytest.mark.parametrize("rules", [FolderRules(splits=False), FolderRules(classes=("train", "car"))])
def test_a_class_may_be_called_like_a_split(tmp_path: Path, rules: FolderRules) -> None:
    """Where it is said, by a flag or by naming it."""
    put(tmp_path, "train/1.png", "car/1.png", "bus/1.png")

    assert {label for _, label in list_files(tmp_path, rules).files["all"]} == {"train", "car", "bus"}


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ([], r"contains no image; expected a folder for each class \(LABEL/\*\.png\)"),
        (["1.png", "2.png"], "contains 1.png, 2.png, but no folder .*or --label-from if names contain labels$"),
        (
            ["cat.0.png", "cat.1.png", "dog.0.png", "dog.1.png"],
            r"contains cat.0.png, .* and 1 more.*: --label-from '.*' finds 2 classes in their names \(cat 2, dog 2\)$",
        ),
        (["train/1.png", "test/1.png"], "train contains 1.png, but no folder for a class"),
        (["train/a/1.png", "val/1.png"], "val contains 1.png, but no folder for a class"),
        (["train/a/1.png", "train/b/1.png", "val/images/1.png"], "val contains 1.png, but no folder for a class"),
        (["train/", "test/"], "has no image in test, train; expected"),
        (
            ["a/1.png", "b/1.heic", "b/2.heic"],
            "class .*/b has no readable image: it contains b/1.heic, b/2.heic",
        ),
        (
            ["train/a/1.png", "cat/1.png"],
            "contains train, a split, beside cat; .* or pass --no-splits",
        ),
        (["train/a/1.png", "val/a/1.png", "dev/a/1.png"], "dev and val both mean validation; expected one name"),
        (["train/a/1.png", "fit/a/1.png"], "fit and train both mean fit"),
        (
            ["trainA/1.png", "trainB/1.png", "testA/1.png"],
            "trainA and trainB, whose .* contain train, .* pass --no-splits",
        ),
        (["images/1.png", "Masks/1.png"], "contains Masks, images, which are kinds of files.*; pass --classes if"),
        (["pets_train/1.png", "pets_test/1.png"], "pets_train contains 1.png, but no folder for a class"),
        (["test.csv", "train.csv"], r"contains test\.csv, train\.csv and no image; pass the path .*/train\.csv$"),
    ],
)
def test_a_folder_that_is_laid_out_otherwise_is_refused(tmp_path: Path, files: list[str], message: str) -> None:
    """The message names the folder at fault and what can be done."""
    for file in files:
        (tmp_path / file).mkdir(parents=True) if file.endswith("/") else put(tmp_path, file)

    with pytest.raises(SourceError, match=message):
        list_files(tmp_path)


def test_a_pattern_that_finds_too_little_is_refused(tmp_path: Path) -> None:
    """More than a few names without a label are an error that names them."""
    put(tmp_path, *(f"cat.{i}.png" for i in range(20)), *(f"{i}.png" for i in range(6)))

    with pytest.raises(SourceError, match=r"finds no label in 6 of the 26 images .*\(0\.png, 1\.png, 2"):
        list_files(tmp_path, FolderRules(label_from="^([a-z]+)"))
    with pytest.raises(SourceError, match="finds no label in 26 of the 26 images"):
        list_files(tmp_path, FolderRules(label_from="^(owl)"))


def test_one_class_may_be_a_folder_of_classes(tmp_path: Path) -> None:
    """Then the folder below is named; where there is nothing to be meant, nothing is."""
    put(tmp_path / "a", "PetImages/Cat/1.png", "PetImages/Dog/1.png")
    put(tmp_path / "b", "Cat/1.png", "train/images/1.png", "train/labels/1.txt")

    assert of_one_class(tmp_path / "a", AS_IT_IS) == f"; if Cat, Dog are the classes, pass {tmp_path / 'a/PetImages'}"
    assert of_one_class(tmp_path / "b", AS_IT_IS) == ""


def test_classes_may_have_the_same_word_of_a_split_in_their_names(tmp_path: Path) -> None:
    """They are no splits then."""
    put(tmp_path, "freight_train/1.png", "steam_train/1.png")

    assert {label for _, label in list_files(tmp_path).files["all"]} == {"freight_train", "steam_train"}


@pytest.mark.parametrize(
    "files", [("train/a/1.png", "val/a/1.png"), ("a/1.png", "b/1.png"), ("train/a/1.png", "train/b/1.png")]
)
def test_a_copy_of_the_folders_beside_it_is_left_out(tmp_path: Path, files: tuple[str, str]) -> None:
    """As of archives that were unpacked into themselves: it is no class and no error, and is counted."""
    head = "train/" if files[1].startswith("train") else ""
    put(tmp_path, *files, *(f"{head}pets/{file.removeprefix(head)}" for file in files))

    listing = list_files(tmp_path)

    assert sorted(path.relative_to(tmp_path).as_posix() for part in listing.files.values() for path, _ in part) == [
        *files
    ]
    assert counts(listing) == {"copy": 2}
