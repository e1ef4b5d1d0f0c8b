"""Lists of files with their labels, one or any number each, read as the trainer reads them: through `sources.load`."""

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.support.label_lists import said_of, save, with_list
from vouch.bundle.multi_label import Task
from vouch.sources.errors import SourceError
from vouch.sources.load import load

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


def test_chosen_classes_leave_images_of_nothing_else_out(tmp_path: Path) -> None:
    """What has none of the chosen labels but had others goes; what had none at all stays, as a picture of none."""
    images = {f"{value}.png": value for value in range(1, 6)}
    folder = with_list(tmp_path, "1.png,a;b\n2.png,b\n3.png,c\n4.png,\n5.png,c;b\n", images)

    source = load(str(folder)).with_classes(("c", "a"))

    assert (source.classes, source.task) == (("c", "a"), "multi_label")
    assert said_of(source) == {1: {"a"}, 3: {"c"}, 4: set(), 5: {"c"}}
    assert source.splits["all"].labels.shape == (4, 2)
