from pathlib import Path

import numpy as np
import pytest

from tests.sources.test_folders import save
from vouch.sources.errors import SourceError
from vouch.sources.examples import Source
from vouch.sources.folder_rules import FolderRules
from vouch.sources.folders import list_image_folder, read_image_folder
from vouch.sources.load import load


def read(folder: Path, groups: str) -> Source:
    return read_image_folder("here", list_image_folder(folder, rules=FolderRules(groups=groups)))


def put(folder: Path, files: list[str], **tables: str) -> Path:
    for value, file in enumerate(files):
        save(folder / file, value)
    for name, content in tables.items():
        (folder / f"{name}.csv").write_text(content)
    return folder


def keys(source: Source) -> dict[str, list[str]]:
    """Split -> the group of each image."""
    assert source.groups is not None
    found: dict[str, list[str]] = {}
    for split, part in source.splits.items():
        assert part.groups is not None
        found[split] = [source.groups.names[number] for number in part.groups.tolist()]
    return found


def sentence(source: Source) -> str:
    assert source.groups is not None
    return source.groups.sentence(part.groups for part in source.splits.values())


@pytest.mark.parametrize("groups", ["patient id", "Patient_ID", " patient id "])
def test_a_column_of_the_list_groups_its_files(tmp_path: Path, groups: str) -> None:
    """Called as in the header, or nearly so; it is no longer left aside."""
    table = "file,label,patient id\na.png,x,p1\nb.png,y, p2\nc.png,x,p1\n"
    source = read(put(tmp_path, ["a.png", "b.png", "c.png"], labels=table), groups)

    assert keys(source) == {"all": ["p1", "p2", "p1"]}
    assert sentence(source) == (f"groups: 2 in 3 images, by column patient id of {tmp_path}/labels.csv")
    assert not any("left aside" in note for note in source.notes)


def test_a_column_of_groups_is_no_class(tmp_path: Path) -> None:
    """Beside columns of 0 and 1, of which each is a class, and beside one that is called as nothing is."""
    flags = "file,cat,dog,patient\na.png,1,0,1\nb.png,0,1,0\nc.png,1,1,1\n"
    plain = "file,what,patient\na.png,x,1\nb.png,y,0\nc.png,x,1\n"
    files = ["a.png", "b.png", "c.png"]

    assert read(put(tmp_path / "flags", files, labels=flags), "patient").classes == ("cat", "dog")
    assert read(put(tmp_path / "plain", files, labels=plain), "patient").classes == ("x", "y")


@pytest.mark.parametrize(
    ("groups", "wanted"),
    [
        ("^(v[0-9]+)_", ["v1", "v1", "v2"]),
        ("^v[0-9]+", ["v1", "v1", "v2"]),
        ("^(v1)_|^(v2)_", ["v1", "v1", "v2"]),
        (r"^(v1)_|.*\.", ["v1", "v1", "v2_001."]),
        ("^([^/]+)/", ["ant", "bee", "bee"]),
    ],
)
def test_an_expression_groups_by_names(tmp_path: Path, groups: str, wanted: list[str]) -> None:
    """By its first group that took part, else by all; a group may be of several classes. With a slash, by paths."""
    source = read(put(tmp_path, ["ant/v1_001.png", "bee/v1_002.png", "bee/v2_001.png"]), groups)

    assert keys(source) == {"all": wanted}
    assert sentence(source).startswith(f"groups: {len(set(wanted))} in 3 images, by the match of '{groups}' in their ")


def test_groups_are_the_same_in_all_splits(tmp_path: Path) -> None:
    """So that one on both sides is found; broken files and left out classes change nothing."""
    files = ["train/ant/a1.png", "train/bee/b1.png", "train/cow/c1.png", "val/ant/c2.png", "val/bee/a2.png"]
    source = read(put(tmp_path, files), "^.")

    assert keys(source) == {"fit": ["a", "b", "c"], "validation": ["c", "a"]}
    chosen = source.with_classes(("bee", "ant"))
    assert keys(chosen) == {"fit": ["a", "b"], "validation": ["c", "a"]}
    assert sentence(chosen).startswith("groups: 3 in 4 images")


def test_files_without_a_group_are_counted_and_named(tmp_path: Path) -> None:
    """Where some have one, with a way to let each of the others be a group of its own."""
    folder = put(tmp_path, ["ant/v1_1.png", "ant/x.png", "bee/x.png", "bee/v2_1.png"])

    with pytest.raises(SourceError, match=r"does not match 2 of 4 file names \(ant/x.png, bee/x.png\); '\^\(v.*each"):
        read(folder, r"^(v\d)")
    assert keys(read(folder, r"^(v\d)|.*")) == {"all": ["v1", "ant/x.png", "v2", "bee/x.png"]}
    assert keys(read(folder, r"/(.*)\d?\.png$")) == {"all": ["v1_1", "x", "v2_1", "x"]}
    with pytest.raises(SourceError, match=r"--groups patient does not match 4 of 4 file names \(ant/v.*, ...\)$"):
        read(folder, "patient")


def test_a_column_that_is_not_there_is_said_with_those_that_are(tmp_path: Path) -> None:
    """Whoever mistypes a column has asked for an expression."""
    folder = put(tmp_path, ["a.png", "b.png"], labels="file,label,patient\na.png,x,p1\nb.png,y,p2\n")
    said = r": the list has no such column \(it has file, label, patient\); as an expression on file names, it "

    with pytest.raises(SourceError, match=rf"--groups patent{said}does not match 2 of 2 file names"):
        read(folder, "patent")
    with pytest.raises(SourceError, match=rf"--groups c\+\+\){said}is not a regular expression: expected a .* \("):
        read(folder, "c++)")


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ("a.png,x,p1\nb.png,y,\n", "line 3: nothing in column patient, the column of groups"),
        ("a.png,x,p1\nb.png,y,p2\na.png,y,p2\n", "line 4: a.png is in p1 and in p2"),
        ("a.png,x,p1\nb.png,y,p1\n", "all 2 images of .* are in one group, p1, by column patient"),
    ],
)
def test_a_list_that_does_not_group_is_an_error(tmp_path: Path, table: str, said: str) -> None:
    """No group, two for one file, or one for all."""
    folder = put(tmp_path, ["a.png", "b.png"], labels=f"file,label,patient\n{table}")

    with pytest.raises(SourceError, match=said):
        read(folder, "patient")


def test_every_list_has_the_column(tmp_path: Path) -> None:
    """Of splits, one list may not be without it; with it in all, groups go across."""
    files = ["train/a.png", "train/b.png", "val/c.png", "val/d.png"]
    train, val = "file,label,patient\na.png,x,p1\nb.png,y,p2\n", "file,label\nc.png,x\nd.png,y\n"
    folder = put(tmp_path, files, **{"train/labels": train, "val/labels": val})

    with pytest.raises(SourceError, match=r"train/labels.csv has a column patient, but .*val/labels.csv has none"):
        read(folder, "patient")
    (folder / "val/labels.csv").write_text("file,label,patient\nc.png,x,p1\nd.png,y,p3\n")
    assert keys(read(folder, "patient")) == {"fit": ["p1", "p2"], "validation": ["p1", "p3"]}


def test_arrays_have_no_names_to_group_by(tmp_path: Path) -> None:
    """One sentence says what it is for."""
    np.savez(tmp_path / "a.npz", images=np.zeros((4, 8, 8), np.uint8), labels=np.arange(4) % 2)

    with pytest.raises(SourceError, match=r"--groups patient does not apply to .*a.npz, only to folders of images"):
        load(str(tmp_path / "a.npz"), rules=FolderRules(groups="patient"))
