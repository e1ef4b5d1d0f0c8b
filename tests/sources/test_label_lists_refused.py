from pathlib import Path

import pytest

from tests.support.label_lists import said_of, save, with_list
from vouch.sources.errors import SourceError
from vouch.sources.load import load


@pytest.mark.parametrize(
    ("images", "named"),
    [
        (
            {"a.png": 1, "b.png": 2, "c.png": 3, "sub/d.png": 4},
            "left out 2 images that no list names (b.png, sub/d.png)",
        ),
        ({"a.png": 1, "c.png": 3, "d.png": 4}, "left out 1 image that no list names (d.png)"),
    ],
)
def test_images_that_are_not_listed_are_left_out_and_told(tmp_path: Path, images: dict[str, int], named: str) -> None:
    """A warning counts and names them; they are on no side of any split."""
    source = load(str(with_list(tmp_path, "a.png,x;y\nc.png,x\n", images)))

    assert sorted(said_of(source)) == [1, 3]
    assert source.warnings == (named,)
    assert source.left_out.images == len(images) - 2


@pytest.mark.parametrize(
    ("content", "messages"),
    [
        (
            "a.png,x\nb.png\nc.png,y\n",
            [r"1 line of .*labels\.csv is not FILE,LABEL or FILE,LABEL;LABEL.*\(line 2: 1 value instead of 2\)$"],
        ),
        ("a.png,x,y\nb.png\nc.png,y\n", ["2 lines of .* are not", "line 1: 3 values instead of 2; line 2: 1 value"]),
        ("h\na.png,x\n\nb.png,y,z\n", ["2 lines", r"line 1: 1 value instead of 2; line 4: 3 values instead of 2"]),
        ('"a.png","x\ny"\nb.png\n', ["1 line .*line 3: 1 value"]),
        ("\n" * 5 + "a.png\n" * 5, [r"5 lines .*line 6: .*; line 7: .*; line 8: [^;]*; \.\.\.\)"]),
        (",x\nb.png,y\n", ["line 1: '' is not a path below the list's folder"]),
        (".,x\nb.png,y\n", [r"line 1: '\.' is not a path"]),
        ("../a.png,x\nb.png,y\n", [r"line 1: '\.\./a\.png' is not a path"]),
        ("sub/../../a.png,x\nb.png,y\n", ["line 1: 'sub/"]),
        ("/etc/passwd,x\nb.png,y\n", ["line 1: '/etc/passwd' is not a path"]),
        ("a\0.png,x\nb.png,y\n", [r"line 1: 'a\\x00\.png' is not a path"]),
        ("a.png,x;;y\nb.png,;\nc.png,x;\n", ["3 lines .*line 1: an empty label in 'x;;y'; line 2: .*; line 3: .*'x;'"]),
        ("a.png,x;y; x\nb.png,y\n", ["line 1: a repeated label in 'x;y; x'"]),
        ("a.png,x\nd.png,y\ne.png,\n", [r"2 of the 3 files in .*labels\.csv are missing \(d\.png, e\.png\)"]),
        ("a.png,x\nd.png,y\n", [r"1 of the 2 files in .*labels\.csv is missing \(d\.png\)"]),
        ("a.png,x\n" + "n" * 400 + ".png,y\n", ["1 of the 2 files .* is missing"]),
        ("a.png,x\nA.PNG,y\n", [r"is missing \(A\.PNG\)"]),
        ("a.png\nb.png,x\nb.png,y\nd.png,x\n", ["1 line of", "1 of the 2 files"]),
        ("", [r"labels\.csv lists no files; expected lines of FILE,LABEL or"]),
        ("file,labels\n", ["lists no file"]),
        ("\n\n", ["lists no file"]),
        ('a.png,"x\nb.png,y\n', ["is not a CSV file: line"]),
        ('"a.png"z,x\nb.png,y\n', ["is not a CSV file: line 1: "]),
        (b"a.png,\xff\xfe\n", ["is not a text file in UTF-8 .*; save it as CSV in UTF-8"]),
        ("a.png,x" + "y" * 200_000 + "\n", ["is not a CSV file: line 1: field larger"]),
        ("a.png,\nb.png,\n", ["has no labels; expected at least two classes"]),
        ("a.png,x\nb.png,a\tb\n", [r"a class named 'a\\tb'"]),
    ],
)
def test_what_is_wrong_with_a_list_is_said_at_once(tmp_path: Path, content: str | bytes, messages: list[str]) -> None:
    """Lines by their numbers in the file, files by name; all kinds of faults in one message."""
    folder = with_list(tmp_path, content)

    for message in messages:
        with pytest.raises(SourceError, match=message) as error:
            load(str(folder))
    assert "\n" not in str(error.value)


def test_a_file_that_a_list_names_must_be_one(tmp_path: Path) -> None:
    """A folder of an image's name is missing as an image."""
    (tmp_path / "d.png").mkdir()

    with pytest.raises(SourceError, match=r"1 of the 2 files in .* is missing \(d\.png\)"):
        load(str(with_list(tmp_path, "a.png,x;y\nd.png,x\n")))


def test_listed_files_that_are_no_images_are_named(tmp_path: Path) -> None:
    """As in folders of classes: a few are left out, counted and named."""
    folder = with_list(tmp_path, "a.png,x;y\nb.png,x\nnotes.txt,y\n")
    (folder / "notes.txt").write_text("no image")
    (folder / "b.png").write_bytes((folder / "b.png").read_bytes()[:40])

    source = load(str(folder))

    assert len(source.splits["all"]) == 1
    assert set(source.left_out.by_reason) == {"broken", "unlisted"}  # the second is c.png
    assert [name.partition(":")[0] for name in source.left_out.by_reason["broken"].names] == ["b.png", "notes.txt"]


def test_faults_of_all_splits_are_said_together(tmp_path: Path) -> None:
    """Not one list after the other."""
    with_list(tmp_path / "fit", "1.png\n", {"1.png": 1})
    with_list(tmp_path / "validation", "2.png,x\n", {"1.png": 1})

    with pytest.raises(SourceError, match=r"1 line of .*fit/labels\.csv.*; 1 of the 1 files in .*validation/labels"):
        load(str(tmp_path))


@pytest.mark.parametrize(
    ("lists", "folders", "message"),
    [
        (["", "fit"], ["fit"], r"has a labels\.csv and fit has one too; expected one at the top or one per split"),
        (["fit"], ["fit", "validation"], r"fit has a labels\.csv but validation has none; expected one per split"),
        (["test"], ["train", "val", "test"], r"test has a labels\.csv but train, val have none"),
        (["fit"], ["fit", "cat"], "contains fit, a split, beside cat"),
        (["fit", "train"], ["fit", "train"], "fit and train both mean fit"),
    ],
)
def test_lists_in_some_places_and_not_in_others_are_refused(
    tmp_path: Path, lists: list[str], folders: list[str], message: str
) -> None:
    """Which images have which labels is never guessed."""
    for name in folders:
        save(tmp_path / name / "a" / "1.png")
    for name in lists:
        (tmp_path / name / "labels.csv").write_text("a/1.png,x;y\n")

    with pytest.raises(SourceError, match=message):
        load(str(tmp_path))


def test_folders_named_like_splits_below_a_list_are_told(tmp_path: Path) -> None:
    """With one list at the top they are folders like any other, which may not be what was meant."""
    source = load(str(with_list(tmp_path, "fit/a.png,x\ntest/b.png,y\n", {"fit/a.png": 1, "test/b.png": 2})))

    assert list(source.splits) == ["all"]
    (warning,) = source.warnings
    assert "fit, test in" in warning
    assert "put a labels.csv into each of them" in warning


def test_a_file_in_two_splits_is_found_by_its_pixels(tmp_path: Path) -> None:
    """A list in a folder of its own cannot reach another split's files, not even by a path."""
    with_list(tmp_path / "fit", "1.png,x;y\n", {"1.png": 1})
    with_list(tmp_path / "validation", "../fit/1.png,x\n", {"1.png": 1})

    with pytest.raises(SourceError, match="not a path below the list's folder"):
        load(str(tmp_path))


@pytest.mark.parametrize(
    ("wanted", "message"), [(("a", "z"), "has no class z; it has a, b"), (("a", "a"), "given twice")]
)
def test_classes_that_cannot_be_chosen_are_refused(tmp_path: Path, wanted: tuple[str, ...], message: str) -> None:
    """As with one label an image."""
    source = load(str(with_list(tmp_path, "a.png,a\nb.png,b\n")))

    with pytest.raises(SourceError, match=message):
        source.with_classes(wanted)
