from pathlib import Path

import pytest

from tests.support.written_lists import FILES, labels_of, put
from vouch.sources.errors import SourceError
from vouch.sources.folders import list_image_folder


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("split", ("train", "val", "test")),
        ("Subset", ("TRAIN", "dev", "Test")),
        ("usage", ("Training", "valid", "test")),
    ],
)
def test_a_column_of_splits_is_obeyed(tmp_path: Path, name: str, values: tuple[str, ...]) -> None:
    """Whatever splits are called elsewhere, they may be called in a column."""
    lines = [f"{file},x,{value}\n" for file, value in zip(FILES, values, strict=True)]
    folder = put(tmp_path, f"file,label,{name}\n" + "".join(lines))

    listed = list_image_folder(folder)

    assert [labels_of(folder, listed, split) for split in ("fit", "tune", "validation")] == [
        {file: ("x",)} for file in FILES
    ]
    assert any(f"{values[0]} as fit, {values[1]} as tune, {values[2]} as validation" in note for note in listed.notes)


@pytest.mark.parametrize(
    ("lists", "splits"),
    [
        ({"train.csv": "file,label\na.png,x\nb.png,y\n", "val.csv": "file,label\nc.png,x\n"}, ["fit", "validation"]),
        ({"train_labels.csv": "id,breed\na,x\nb,y\n", "sample_submission.csv": "id,breed\nc,x\n"}, ["fit"]),
        ({"Train.csv": "Path,ClassId\na.png,0\nb.png,1\n", "Meta.csv": "Path,ClassId\nm.png,0\n"}, ["fit"]),
        ({"annotations.csv": "file,label\na.png,x\nb.png,y\nc.png,x\n", "sizes.csv": "w,h\n1,2\n"}, ["all"]),
        ({"LABELS.CSV": "a.png,x\nb.png,y\nc.png,x\n", "other.csv": "a.png,1\n"}, ["all"]),
        ({"labels.tsv": "a.png\tx\nb.png\ty\nc.png\tx\n"}, ["all"]),
    ],
)
def test_lists_of_other_names_are_found(tmp_path: Path, lists: dict[str, str], splits: list[str]) -> None:
    """One for each split, or the only table that lists files."""
    assert list(list_image_folder(put(tmp_path, lists)).files) == splits


def test_a_list_of_any_name_in_each_splits_folder_is_found(tmp_path: Path) -> None:
    """With a column for each class, as annotation tools export them."""
    lists = {f"{split}/_classes.csv": "filename, cat, dog\na.png, 1, 0\nb.png, 0, 1\n" for split in ("train", "valid")}
    folder = put(tmp_path, lists, [f"{split}/{file}" for split in ("train", "valid") for file in ("a.png", "b.png")])

    listed = list_image_folder(folder)

    assert labels_of(folder, listed, "validation") == {"valid/a.png": ("cat",), "valid/b.png": ("dog",)}
    assert "splits: train as fit, valid as validation" in listed.notes


def test_a_table_beside_class_folders_counts_only_with_a_column_of_labels(tmp_path: Path) -> None:
    """Widths and dates of files in class folders are no classes."""
    files = ["cat/1.png", "cat/2.png", "dog/1.png"]
    about = put(tmp_path / "1", {"about.csv": "file,width\ncat/1.png,7\ndog/1.png,9\n"}, files)
    list_ = put(tmp_path / "2", {"about.csv": "file,label\ncat/1.png,x\ndog/1.png,y\n"}, files)

    assert labels_of(about, list_image_folder(about))["cat/2.png"] == ("cat",)
    assert labels_of(list_, list_image_folder(list_)) == {"cat/1.png": ("x",), "dog/1.png": ("y",)}


@pytest.mark.parametrize(
    ("lists", "message"),
    [
        (
            {"one.csv": "a.png,x\nb.png,y\n", "two.csv": "a.png,x\nb.png,z\n"},
            r"several tables .*one\.csv, two\.csv; rename",
        ),
        ({"train.csv": "a.png,x\nb.png,y\n", "train_2.csv": "b.png,x\n"}, r"several tables .*train\.csv, train_2\.csv"),
        (
            {"my.csv": "file,red,size\na.png,1,7\nb.png,0,8\n"},
            r"my\.csv: its header \(file, red, size\) names no column",
        ),
    ],
)
def test_which_of_several_tables_is_meant_is_not_guessed(tmp_path: Path, lists: dict[str, str], message: str) -> None:
    """They are named, and so is the name that settles it."""
    with pytest.raises(SourceError, match=message):
        list_image_folder(put(tmp_path, lists))


@pytest.mark.parametrize(
    "lists",
    [
        {"trainLabels.csv": "id,label\n1,cat\n2,dog\n"},
        {"labels.csv": "id,label,split\n1,cat,train\n2,dog,train\n"},
    ],
)
def test_a_name_that_two_splits_have_is_that_of_its_own(tmp_path: Path, lists: dict[str, str]) -> None:
    """`train/1.png` and `test/1.png`: the list's name, or the line, says which is meant."""
    folder = put(tmp_path, lists, [f"{split}/{n}.png" for split in ("train", "test") for n in (1, 2)])

    listed = list_image_folder(folder)

    assert labels_of(folder, listed, "fit") == {"train/1.png": ("cat",), "train/2.png": ("dog",)}
    assert listed.left_out.by_reason["unlisted"].names == ("test/1.png", "test/2.png")


@pytest.mark.parametrize(
    "lists",
    [
        {"labels.csv": "file,label,split\na.png,cat,train\nb.png,dog,train\nc.png,,test\n"},
        {"train.csv": "file,label\na.png,cat\nb.png,dog\n", "test.csv": "file,label\nc.png,\n"},
    ],
)
def test_lines_of_a_test_split_without_labels_are_left_out(tmp_path: Path, lists: dict[str, str]) -> None:
    """They do not make the others' labels several; they are counted."""
    listed = list_image_folder(put(tmp_path, lists))

    assert (listed.task, list(listed.files)) == ("single_label", ["fit"])
    assert listed.left_out.by_reason["unlabelled"].names == ("c.png",)
    assert any(note in ("splits: train as fit", "splits: train.csv as fit") for note in listed.notes)


def test_a_list_of_other_images_than_those_in_class_folders_is_none(tmp_path: Path) -> None:
    """A sample submission gives made-up labels to the images of a test; the folders are the labels."""
    files = ["train/cat/1.png", "train/dog/1.png", "test/t1.png", "test/t2.png"]
    folder = put(tmp_path, {"sample_submission.csv": "file,species\nt1.png,dog\nt2.png,dog\n"}, files)

    listed = list_image_folder(folder)

    assert labels_of(folder, listed, "fit") == {"train/cat/1.png": ("cat",), "train/dog/1.png": ("dog",)}
    assert listed.left_out.by_reason["unlabelled"].count == 2
