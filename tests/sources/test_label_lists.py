"""Lists of files with their labels, one or any number each, read as the trainer reads them: through `sources.load`."""

import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vouch.bundle.multi_label import Task
from vouch.sources.errors import SourceError
from vouch.sources.examples import Source
from vouch.sources.load import load


def save(path: Path, value: int = 0) -> None:
    """A grey image of 4 x 3."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", (3, 4), value).save(path)


def with_list(folder: Path, content: str | bytes, images: Mapping[str, int] | None = None) -> Path:
    """A folder with these images and this list; by default a.png, b.png and c.png with pixels 1, 2 and 3."""
    for name, value in ({"a.png": 1, "b.png": 2, "c.png": 3} if images is None else images).items():
        save(folder / name, value)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "labels.csv").write_bytes(content.encode() if isinstance(content, str) else content)
    return folder


def said_of(source: Source, split: str = "all") -> dict[int, set[str]]:
    """The pixel of each image -> its labels."""
    part = next(examples for name, examples in source.splits.items() if name == split)
    return {
        int(image.flat[0]): {name for name, there in zip(source.classes, row, strict=True) if there}
        for image, row in zip(part.images[:], part.labels, strict=True)
    }


ABC = {1: {"red", "round"}, 2: set(), 3: {"red"}}


def test_a_list_gives_each_file_any_number_of_labels(tmp_path: Path) -> None:
    """Images stand in the order of the list; classes in natural order; labels are one column a class."""
    source = load(str(with_list(tmp_path, "c.png,red\na.png,round;red\nb.png,\n")))

    part = source.splits["all"]
    assert (source.task, source.classes, source.warnings) == ("multi_label", ("red", "round"), ())
    assert part.images[:][:, 0, 0].tolist() == [3, 1, 2]
    assert part.images.shape == (3, 4, 3)
    np.testing.assert_array_equal(part.labels, np.array([[1, 0], [1, 1], [0, 0]], dtype=np.bool_), strict=True)


@pytest.mark.parametrize(
    "content",
    [
        "a.png,red;round\nb.png,\nc.png,red\n",
        "a.png,red;round\nb.png,\nc.png,red",
        "file,labels\na.png,red;round\nb.png,\nc.png,red\n",
        " File , LABELS \na.png,red;round\nb.png,\nc.png,red\n",
        "\nfile,labels\na.png,red;round\nb.png,\nc.png,red\n",
        "a.png,red;round\r\nb.png,\r\nc.png,red\r\n",
        "a.png,red;round\rb.png,\rc.png,red\r",
        b"\xef\xbb\xbffile,labels\r\na.png,red;round\r\nb.png,\r\nc.png,red\r\n",
        b"\xef\xbb\xbfa.png,red;round\nb.png,\nc.png,red\n",
        '"a.png","red;round"\n"b.png",""\n"c.png","red"\n',
        " a.png , red ; round \n\n b.png ,  \n\t\n c.png,red\n\n",
        "./a.png,red;round\n.//b.png,\nc.png,red\n",
        "a.png,red\nb.png,\nc.png,red\na.png,round\n",
        "a.png,red\nb.png,\nc.png,red\na.png,red;round\na.png,red\n",
        "filename,label\na.png,red;round\nb.png,\nc.png,red\n",
        "Image, Tags\na.png,red;round\nb.png,\nc.png,red\n",
    ],
)
def test_spellings_of_the_same_list_are_read_alike(tmp_path: Path, content: str | bytes) -> None:
    """Header or none, quotes, spaces, blank lines, a byte order mark, any line ends, a line for each label."""
    assert said_of(load(str(with_list(tmp_path, content)))) == ABC


ONE_EACH = "a.png,cat\nb.png,dog\nc.png,cat\n"


@pytest.mark.parametrize(
    "content",
    [
        ONE_EACH,
        f"file,label\n{ONE_EACH}",
        f'"File", Class \r\n{ONE_EACH}',
        f"image,y\n\n{ONE_EACH}\n",
        '"a.png","cat"\n"b.png"," dog "\n"c.png","cat"\n',
        f"{ONE_EACH}a.png,cat\n",
    ],
    ids=["plain", "header", "quoted header", "blank lines", "quotes", "a line twice"],
)
def test_a_list_with_one_label_for_every_file_is_single_label(tmp_path: Path, content: str) -> None:
    """The commonest list there is; what was taken is noted."""
    source = load(str(with_list(tmp_path, content)))

    assert (source.task, source.classes) == ("single_label", ("cat", "dog"))
    assert source.splits["all"].labels.tolist() == [0, 1, 0]
    assert source.notes == (f"labels: one per image, as in {tmp_path / 'labels.csv'}",)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("a.png,cat\nb.png,dog;big\nc.png,cat\n", "b.png has 2 labels in line 2"),
        ("a.png,cat\nb.png,dog\nc.png,\n", "c.png has no label in line 3"),
        ("a.png,cat\nb.png,dog\na.png,dog\n", "a.png is listed again, with other labels, in line 3"),
        ("a.png,cat\nb.png,dog\na.png,\n", "a.png is listed again, with other labels, in line 3"),
    ],
)
def test_one_file_with_several_labels_or_none_makes_a_list_multi_label(
    tmp_path: Path, content: str, reason: str
) -> None:
    """The file and the line that decided are noted; asking for one label an image is an error that names them."""
    folder = with_list(tmp_path, content)

    source = load(str(folder))

    assert source.task == "multi_label"
    expected = f"labels: any number per image, because {reason} of {tmp_path / 'labels.csv'}"
    assert source.notes == (expected,)
    with pytest.raises(SourceError, match=f"expected exactly one label per file, but {re.escape(reason)}"):
        load(str(folder), task="single_label")


def test_any_list_can_be_taken_as_multi_label(tmp_path: Path) -> None:
    """One column a class, as with several labels."""
    source = load(str(with_list(tmp_path, ONE_EACH)), task="multi_label")

    assert source.task == "multi_label"
    assert said_of(source) == {1: {"cat"}, 2: {"dog"}, 3: {"cat"}}
    assert source.notes == ("labels: any number per image, as requested",)


def test_lines_that_repeat_others_are_told(tmp_path: Path) -> None:
    """The file counts once."""
    source = load(str(with_list(tmp_path, f"{ONE_EACH}a.png,cat\n./b.png,dog\n")))

    assert len(source.splits["all"]) == 3
    assert source.warnings == (f"2 lines of {tmp_path / 'labels.csv'} repeat an earlier one (a.png, b.png)",)


@pytest.mark.parametrize("asked", [None, "single_label", "multi_label"])
def test_several_labels_in_one_split_are_several_in_all(tmp_path: Path, asked: Task | None) -> None:
    """One model has one task; a list of one label each beside one of several is not taken apart."""
    with_list(tmp_path / "fit", "1.png,a\n2.png,b\n", {"1.png": 1, "2.png": 2})
    with_list(tmp_path / "val", "1.png,a;b\n", {"1.png": 3})

    if asked == "single_label":
        with pytest.raises(SourceError, match=r"but 1\.png has 2 labels in line 1 of .*val/labels\.csv"):
            load(str(tmp_path), task=asked)
    else:
        source = load(str(tmp_path), task=asked)
        assert {part.task for part in source.splits.values()} == {"multi_label"}
        assert said_of(source, "fit") == {1: {"a"}, 2: {"b"}}


def test_a_question_of_labels_is_answered_before_an_image_is_read(tmp_path: Path) -> None:
    """It takes no decoding of thousands of files to know that they have several labels, or that they have one."""
    folder = with_list(tmp_path / "list", "a.png,cat\nb.png,dog;big\n", {})
    folders = tmp_path / "folders"
    for path in (folder / "a.png", folder / "b.png", folders / "cat" / "1.png", folders / "dog" / "1.png"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"no image")

    with pytest.raises(SourceError, match="expected exactly one label"):
        load(str(folder), task="single_label")
    with pytest.raises(SourceError, match="has one class per image, not several labels"):
        load(str(folders), task="multi_label")


def test_images_are_called_by_their_files(tmp_path: Path) -> None:
    """From the data's folder on, also in a split, whatever was chosen from them."""
    with_list(tmp_path / "fit", "1.png,a\nsub/2.png,b\n", {"1.png": 1, "sub/2.png": 2})
    with_list(tmp_path / "val", "1.png,a\n2.png,b\n", {"1.png": 3, "2.png": 4})

    source = load(str(tmp_path))

    assert [source.splits["fit"].names[row] for row in (0, 1)] == ["fit/1.png", "fit/sub/2.png"]
    assert source.with_classes(("b", "a")).splits["validation"][np.array([1])].names[0] == "val/2.png"
    assert source.splits["validation"].names.path(1) == tmp_path / "val" / "2.png"


def test_names_with_commas_quotes_and_other_scripts_are_read(tmp_path: Path) -> None:
    """What CSV can quote may stand in file names and in labels."""
    content = '"a, ""1"".png","красный;two words"\nüb/é 2.png,"five, or so"\n'
    source = load(str(with_list(tmp_path, content, {'a, "1".png': 1, "üb/é 2.png": 2})))

    assert said_of(source) == {1: {"красный", "two words"}, 2: {"five, or so"}}


def test_files_are_found_in_folders_and_whatever_their_ending(tmp_path: Path) -> None:
    """A list may name what no folder would be searched for: hidden files, other endings, links."""
    content = "birds/deep/a.png,x\n.hidden.png,y\nb.jpe,x;y\nlink/c.png,\n"
    save(tmp_path / "elsewhere" / "c.png", 4)
    folder = with_list(tmp_path / "data", content, {"birds/deep/a.png": 1, ".hidden.png": 2})
    Image.new("L", (3, 4), 3).save(folder / "b.jpe", format="PNG")
    (folder / "link").symlink_to(tmp_path / "elsewhere")

    source = load(str(folder))

    assert said_of(source) == {1: {"x"}, 2: {"y"}, 3: {"x", "y"}, 4: set()}
    assert source.warnings == ()


def test_a_list_wins_over_class_folders(tmp_path: Path) -> None:
    """Where there is a list, folders are only where the files lie."""
    source = load(str(with_list(tmp_path, "cat/1.png,furry\ndog/1.png,big;furry\n", {"cat/1.png": 1, "dog/1.png": 2})))

    assert source.classes == ("big", "furry")


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


@pytest.mark.parametrize(
    ("fit", "tune", "validation"), [("fit", "tune", "validation"), ("train", "val", "test"), ("Train", "Tune", "val")]
)
def test_each_split_may_have_a_list(tmp_path: Path, fit: str, tune: str, validation: str) -> None:
    """Paths begin from the split's folder, so that a name may stand in all; classes are those of all."""
    for value, (name, content) in enumerate(
        {fit: "1.png,b\n2.png,\n", tune: "1.png,a;b\n", validation: "1.png,c\n"}.items()
    ):
        with_list(tmp_path / name, content, {"1.png": 10 * value + 1, "2.png": 10 * value + 2})

    source = load(str(tmp_path))

    assert source.classes == ("a", "b", "c")
    assert set(source.splits) == {"fit", "tune", "validation"}
    assert said_of(source, "fit") == {1: {"b"}, 2: set()}
    assert said_of(source, "tune") == {11: {"a", "b"}}
    assert said_of(source, "validation") == {21: {"c"}}
    assert source.left_out.by_reason["unlisted"].names == (f"{tune}/2.png", f"{validation}/2.png")


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


def test_chosen_classes_leave_images_of_nothing_else_out(tmp_path: Path) -> None:
    """What has none of the chosen labels but had others goes; what had none at all stays, as a picture of none."""
    images = {f"{value}.png": value for value in range(1, 6)}
    folder = with_list(tmp_path, "1.png,a;b\n2.png,b\n3.png,c\n4.png,\n5.png,c;b\n", images)

    source = load(str(folder)).with_classes(("c", "a"))

    assert (source.classes, source.task) == (("c", "a"), "multi_label")
    assert said_of(source) == {1: {"a"}, 3: {"c"}, 4: set(), 5: {"c"}}
    assert source.splits["all"].labels.shape == (4, 2)


@pytest.mark.parametrize(
    ("wanted", "message"), [(("a", "z"), "has no class z; it has a, b"), (("a", "a"), "given twice")]
)
def test_classes_that_cannot_be_chosen_are_refused(tmp_path: Path, wanted: tuple[str, ...], message: str) -> None:
    """As with one label an image."""
    source = load(str(with_list(tmp_path, "a.png,a\nb.png,b\n")))

    with pytest.raises(SourceError, match=message):
        source.with_classes(wanted)
