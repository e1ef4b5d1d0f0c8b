"""Lists of files as people and their programs write them: headers, separators, encodings, names, splits, many tables.

No image is read: what is asked for is which files have which labels.
"""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.written_lists import FILES, labels_of, put
from vouch.sources.errors import SourceError
from vouch.sources.folders import list_image_folder

EXPECTED = {"a.png": ("cat",), "b.png": ("dog",), "c.png": ("cat",)}


@pytest.mark.parametrize(
    "header",
    [
        "filename,label",
        "image,label",
        "path,label",
        "id,breed",
        "File Name,Class",
        "img_path,category",
        "Image Index,Finding Labels",
        "image_id,dx",
        "ID_code,species",
        "image,plant",
        '"file","Target"',
        "Datei,Klasse",
        "key,value",
    ],
)
def test_any_header_that_names_files_or_labels_is_one(tmp_path: Path, header: str) -> None:
    """It is never taken for a file that is missing."""
    folder = put(tmp_path, f"{header}\na.png,cat\nb.png,dog\nc.png,cat\n")

    listed = list_image_folder(folder)

    assert (listed.task, labels_of(folder, listed)) == ("single_label", EXPECTED)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("file;label\na.png;cat\nb.png;dog\nc.png;cat\n", "semicolons between its values"),
        ("file\tlabel\na.png\tcat\nb.png\tdog\nc.png\tcat\n", "tabs between its values"),
        ("file|label\na.png|cat\nb.png|dog\nc.png|cat\n", "bars between its values"),
        ("a.png;cat\nb.png;dog\nc.png;cat\n", "semicolons between its values"),
        ("file;label\na.png;cat\nb.png;dog\nc.png;cat\n;\n;\n", "semicolons between its values"),
        ("sep=;\na.png;cat\nb.png;dog\nc.png;cat\n", "semicolons between its values"),
        ("\ufeffsep=;\r\nfile;label\r\na.png;cat\r\nb.png;dog\r\nc.png;cat\r\n", "semicolons between its values"),
        ('"file";"label"\n"a.png";"cat"\n"b.png";"dog"\n"c.png";"cat"\n', "semicolons between its values"),
        ("file,label\na.png,cat\nb.png,dog\nc.png,cat\n".encode("utf-16"), "UTF-16 text"),
        ("file,label\na.png,cat\nb.png,dog\nc.png,cat\n".encode("utf-16-le"), "UTF-16 text"),
        ("a.png,cat\nb.png,dog\nc.png,cat\n".encode("utf-16-be"), "UTF-16 text"),
        ("a.png\tcat\nb.png\tdog\nc.png\tcat\n".encode("utf-16"), "tabs between its values; UTF-16 text"),
        ("cat,a.png\ndog,b.png\ncat,c.png\n", "files from column 2; labels from column 1"),
        ("label,file\ncat,a.png\ndog,b.png\ncat,c.png\n", "files from column file; labels from column label"),
        (",id,file,label\n0,x,a.png,cat\n1,y,b.png,dog\n2,z,c.png,cat\n", "ignored: '', id"),
        ("id,file,label\n1,a.png,cat\n2,b.png,dog\n3,c.png,cat\n", "files from column file; labels from column label"),
        ("file,label,width\na.png,cat,9\nb.png,dog,9\nc.png,cat,9\n", "ignored: width"),
        ("file,class_id,class_name\na.png,0,cat\nb.png,1,dog\nc.png,0,cat\n", "labels from column class_name"),
        ("file,cat,dog\na.png,1,0\nb.png,0,1\nc.png,1,0\n", "classes from 2 columns of 0 and 1 (cat, dog)"),
        ("image,cat,dog\na,1.0,0.0\nb,0.0,1.0\nc,1.0,0.0\n", "3 files found by only a part of their path"),
        ("file,label\na,cat\nb,dog\nc,cat\n", "3 files found by only a part of their path"),
    ],
)
def test_spellings_are_read_and_said(tmp_path: Path, content: str | bytes, said: str) -> None:
    """Separators, encodings, the order of columns, columns beside them, a column for each class."""
    folder = put(tmp_path, content)

    listed = list_image_folder(folder)

    assert (listed.task, labels_of(folder, listed)) == ("single_label", EXPECTED)
    assert said in listed.notes[1]


def test_what_a_list_does_not_name_is_left_out_by_reason(tmp_path: Path) -> None:
    """In each split's folder, by its path from the data's folder on; the lists themselves are no strays."""
    files = [f"{split}/{name}" for split in ("train", "val") for name in ("a.png", "b.png", "c.png", "notes.txt")]
    lists = {f"{split}/labels.csv": "a.png,cat\nb.png,dog\n" for split in ("train", "val")}

    left_out = list_image_folder(put(tmp_path, lists, files)).left_out

    assert {reason: things.names for reason, things in left_out.by_reason.items()} == {
        "unlisted": ("train/c.png", "val/c.png"),
        "other_file": ("train/notes.txt", "val/notes.txt"),
    }


def test_what_is_as_usual_is_not_said(tmp_path: Path) -> None:
    """One note alone where the list is a file and its label, with commas."""
    listed = list_image_folder(put(tmp_path, "filename,label\na.png,cat\nb.png,dog\nc.png,cat\n"))

    assert listed.notes == (f"labels: one per image, as in {tmp_path / 'labels.csv'}",)


@pytest.mark.parametrize(
    "written",
    [
        "{root}/img/a.png,cat\n{root}/img/b.png,dog\n{root}/img/c.png,cat\n",
        "img\\a.png,cat\nimg\\b.png,dog\n.\\img\\c.png,cat\n",
        "{name}/img/a.png,cat\n{name}/img/b.png,dog\n{name}/img/c.png,cat\n",
        "a.png,cat\nb.png,dog\nc.png,cat\n",
        "img/a,cat\nimg/b,dog\nimg/c,cat\n",
        "id,breed\na,cat\nb,dog\nc,cat\n",
    ],
    ids=["absolute", "backslashes", "from the folder's own name", "no folder", "no ending", "neither"],
)
def test_files_are_found_as_they_are_called(tmp_path: Path, written: str) -> None:
    """Where only one image can be meant."""
    folder = put(tmp_path, written.format(root=tmp_path, name=tmp_path.name), ["img/a.png", "img/b.png", "img/c.png"])

    listed = list_image_folder(folder)

    assert labels_of(folder, listed) == {f"img/{file}": labels for file, labels in EXPECTED.items()}
    assert listed.warnings == ()


@pytest.mark.parametrize(("listed", "on_disk"), [("\u00e9.png", "e\u0301.png"), ("e\u0301.png", "\u00e9.png")])
def test_letters_composed_otherwise_are_the_same(tmp_path: Path, listed: str, on_disk: str) -> None:
    """File systems and spreadsheets differ in it, and nobody sees it."""
    folder = put(tmp_path, f"{listed},cat\nb.png,dog\n", [on_disk, "b.png"])

    assert labels_of(folder, list_image_folder(folder)) == {on_disk: ("cat",), "b.png": ("dog",)}


def test_latin_1_is_read_where_the_names_on_the_disk_bear_it_out(tmp_path: Path) -> None:
    """Or where only a letter here and there of the labels has an accent; it is said."""
    by_file = put(tmp_path / "1", "é.png,Möwe\nb.png,Ähre\n".encode("latin-1"), ["é.png", "b.png"])
    by_word = put(tmp_path / "2", "a.png,Möwe\nb.png,Spatz\n".encode("cp1252"), ["a.png", "b.png"])

    listed = list_image_folder(by_word)

    assert labels_of(by_file, list_image_folder(by_file)) == {"é.png": ("Möwe",), "b.png": ("Ähre",)}
    assert labels_of(by_word, listed) == {"a.png": ("Möwe",), "b.png": ("Spatz",)}
    assert "Windows-1252 text (Latin-1)" in listed.notes[1]


@pytest.mark.parametrize(
    ("content", "files"),
    [
        ("a.png,кошка\nb.png,собака\n".encode("cp1251"), ["a.png", "b.png"]),
        ("é.png,cat\nb.png,dog\n".encode("cp850"), ["é.png", "b.png"]),
        (b"a.png,\xff\xfe\n", ["a.png"]),
        ("a.png,Kätzchen\nb.png,Hündin\n".encode("mac-roman"), ["a.png", "b.png"]),
        ("a.png,ネコ\nb.png,イヌ\n".encode("shift-jis"), ["a.png", "b.png"]),
    ],
)
def test_other_encodings_are_refused(tmp_path: Path, content: bytes, files: list[str]) -> None:
    """Nothing is taken for Latin-1 that may be something else."""
    with pytest.raises(SourceError, match=r"labels\.csv is not a text file in UTF-8 .*; save it as CSV in UTF-8"):
        list_image_folder(put(tmp_path, content, files))


@pytest.mark.parametrize(
    ("content", "files", "message"),
    [
        ("a,cat\nb,dog\n", ["a.png", "a.jpg", "b.png"], r"line 1: 'a' could be a\.jpg or a\.png; write the path"),
        ("1.png,cat\nx/2.png,dog\n", ["x/1.png", "y/1.png", "x/2.png"], r"'1\.png' could be x/1\.png or y/1\.png"),
        ("A.PNG,cat\nb.png,dog\n", FILES, r"missing \(A\.PNG\); A\.PNG exists as a\.png: write it with the same"),
        ("a.jpg,cat\nb.png,dog\n", FILES, r"missing \(a\.jpg\); a\.jpg exists as a\.png"),
        (
            "/elsewhere/a.png,cat\nb.png,dog\n",
            FILES,
            "line 1: '/elsewhere/a.png' is not a path below the list's folder",
        ),
        ("C:\\me\\a.png,cat\nb.png,dog\n", FILES, "is not a path below the list's folder"),
        ("..\\a.png,cat\nb.png,dog\n", FILES, "is not a path below the list's folder"),
        ("file,label,class\na.png,1,x\nb.png,1,y\n", FILES, r"several columns of labels \(label, class\); remove or"),
        ("file,red,size\na.png,1,7\nb.png,0,8\n", FILES, r"\(file, red, size\) names no column of labels; call that"),
        ("file,cat,dog\na.png,1,0\nb.png,2,1\n", FILES, "names no column of labels"),
        ("file,cat,dog\n" + "a.png,1,0\n" * 60 + "b.png,?,1\n", FILES, r"line 62: '\?' in column cat, expected 0 or 1"),
        (
            "file,label,split\na.png,x,0\nb.png,y,1\n",
            FILES,
            "its column split contains 0, 1, which are not splits; write",
        ),
        ("file,label,split\na.png,x,train\nb.png,y,foo\n", FILES, "line 3: 'foo' in column split is not a split"),
        ("file,label,split\na.png,x,train\na.png,x,val\n", FILES, r"line 3: a\.png is in train and in val"),
        ("file,label,split\na.png,x,val\nb.png,x,valid\n", FILES, "column split .*: val and valid both mean"),
        (
            "file,label,note\na.png,x\nb.png,y,z\n",
            FILES,
            "is not 3 values with a file's path.*line 2: 2 values instead",
        ),
    ],
)
def test_what_may_be_several_things_is_refused(tmp_path: Path, content: str, files: list[str], message: str) -> None:
    """With the line, the column and what to do."""
    with pytest.raises(SourceError, match=message):
        list_image_folder(put(tmp_path, content, files))


def test_several_labels_may_have_bars_between_them(tmp_path: Path) -> None:
    """As semicolons."""
    folder = put(tmp_path, "Image Index,Finding Labels\na.png,Mass|Edema\nb.png,Mass\nc.png,\n")

    listed = list_image_folder(folder)

    assert listed.task == "multi_label"
    assert labels_of(folder, listed) == {"a.png": ("Mass", "Edema"), "b.png": ("Mass",), "c.png": ()}


def test_columns_of_classes_may_be_any_number(tmp_path: Path) -> None:
    """Not exactly one 1 in each line: any number of labels."""
    folder = put(tmp_path, "file,red,round\na.png,1,1\nb.png,0,0\nc.png,1,0\n")

    listed = list_image_folder(folder)

    assert listed.task == "multi_label"
    assert labels_of(folder, listed) == {"a.png": ("red", "round"), "b.png": (), "c.png": ("red",)}


def test_a_list_of_any_length_is_not_read_into_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither in all nor in one line."""
    monkeypatch.setattr("vouch.sources.list_text.MAX_LIST_BYTES", 100)
    monkeypatch.setattr("vouch.sources.list_text.MAX_LINE_BYTES", 20)
    monkeypatch.setattr("vouch.sources.text_tables.CHUNK_BYTES", 8)

    with pytest.raises(SourceError, match=r"labels\.csv has 210 bytes; expected a list of files of at most 100"):
        list_image_folder(put(tmp_path, "a.png,x\nb.png,y\nc.png,z\n" + "x" * 186))
    with pytest.raises(SourceError, match=r"labels\.csv: line 2 has over 20 bytes; expected"):
        list_image_folder(put(tmp_path, "a.png,x\nb.png," + "y" * 30 + "\n"))


@given(
    content=st.text('ab.png,;\t|\n\r" 01', max_size=60)
    | st.lists(
        st.sampled_from(["file", "label", "id", "split", "train", "a.png", "a", "1", ",", ";", "\n", '"', "\\"])
    ).map("".join),
    encoding=st.sampled_from(["utf-8", "utf-16", "utf-16-le", "latin-1"]),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150)
def test_any_text_is_a_list_or_a_source_error(tmp_path: Path, content: str, encoding: str) -> None:
    """No content whatever ends in another exception, and every file that is listed is there."""
    folder = put(tmp_path, content.encode(encoding))

    try:
        listed = list_image_folder(folder)
    except SourceError:
        return

    assert all(path.is_file() for part in listed.files.values() for path, _ in part)
