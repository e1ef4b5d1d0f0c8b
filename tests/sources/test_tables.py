import csv
import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from vouch.sources.errors import SourceError
from vouch.sources.tables import read_csv
from vouch.sources.wanted import Wanted


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data.csv"


def test_a_line_is_a_label_and_the_pixels_row_by_row(path: Path) -> None:
    """Square images need no size; labels that are numbers are ordered by value."""
    path.write_text("10,0,1,2,3\n9,4,5,6,255\n")

    source = read_csv("data.csv", path)

    assert source.classes == ("9", "10")
    assert source.splits["all"].labels.tolist() == [1, 0]
    assert source.splits["all"].images[:].tolist() == [[[0, 1], [2, 3]], [[4, 5], [6, 255]]]
    assert source.splits["all"].images.dtype == np.uint8


@pytest.mark.parametrize(
    "content",
    [
        "label,p1,p2,p3,p4\n1,0,0,0,0\n2,9,9,9,9\n",
        "label,0,1,2,3\n1,0,0,0,0\n2,9,9,9,9\n",
        "label,1,2,3,4\r\n1,0,0,0,0\r\n2,9,9,9,9",
        "\ufeff1,0,0,0,0\n2,9,9,9,9\n",
        "\n\nlabel,a,b,c,d\n\n1,0,0,0,0\n\n2,9,9,9,9\n\n",
        '"1",0,0,0,0\n"2","9",9,9,9\n',
        " 1 , 0 , 0 , 0 , 0 \n2,9,9,9,9\n",
        "1,0,0,0,0\r2,9,9,9,9\r",
    ],
    ids=["header", "counting header", "carriage returns", "mark", "blank lines", "quotes", "spaces", "old Macintosh"],
)
def test_spellings_of_the_same_table_are_read_alike(path: Path, content: str) -> None:
    """Headers, line ends, blank lines, quotes and byte order marks change nothing."""
    path.write_text(content, newline="")

    source = read_csv("data.csv", path)

    assert source.classes == ("1", "2")
    assert source.splits["all"].images[:].tolist() == [[[0, 0], [0, 0]], [[9, 9], [9, 9]]]


PIXELS = np.arange(48, dtype=np.uint8).reshape(3, 4, 4)
KINDS = ("cat", "dog", "cat")


def with_header(path: Path, place: int, name: str, form: str = "p{}", kinds: tuple[str, ...] = KINDS) -> None:
    """Three images of 4 x 4 with a header, the label in this place under this name."""
    rows = [[form.format(number) for number in range(16)], *PIXELS.reshape(3, 16).astype(str).tolist()]
    for row, label in zip(rows, (name, *kinds), strict=True):
        row.insert(place, label)
    path.write_text("".join(",".join(row) + "\n" for row in rows), encoding="utf-8")


@pytest.mark.parametrize("place", [0, 1, 7, 15, 16])
@pytest.mark.parametrize("form", ["p{}", "{}", "pixel_{:03}", "img.{}.grey"])
@pytest.mark.parametrize("kinds", [KINDS, ("7", "3", "7")], ids=["words", "numbers"])
def test_the_header_says_where_the_label_is(path: Path, place: int, form: str, kinds: tuple[str, ...]) -> None:
    """Wherever it is and however pixels are called, the other columns are the pixels in their order."""
    with_header(path, place, "label", form, kinds)

    source = read_csv("data.csv", path)

    assert [source.classes[k] for k in source.splits["all"].labels] == list(kinds)
    np.testing.assert_array_equal(source.splits["all"].images, PIXELS)
    assert source.notes == (f"labels: column {place + 1} of 17, label",)


@pytest.mark.parametrize(
    "name", ["Label", "CLASS", "y", " Target ", '"label"', "'y'", "\ufeffclass", "digit", "Species", "what is it"]
)
@pytest.mark.parametrize("place", [0, 16])
def test_the_label_has_one_of_the_usual_names(path: Path, name: str, place: int) -> None:
    """In any case, with blanks, quotes or a byte order mark around it."""
    with_header(path, place, name)

    source = read_csv("data.csv", path)

    assert source.classes == ("cat", "dog")
    np.testing.assert_array_equal(source.splits["all"].images, PIXELS)


@pytest.mark.parametrize(
    ("name", "form", "first"),
    [
        ("id", "p{}", "id, p0, p1, p2, p3, ..."),
        ("row", "{}x", "row, 0x, 1x, 2x, 3x, ..."),
    ],
)
def test_a_header_without_the_label_is_refused(path: Path, name: str, form: str, first: str) -> None:
    """Its first names are shown: no pixel is taken for a label in silence, and no example dropped."""
    with_header(path, 0, name, form)

    with pytest.raises(SourceError, match=rf"has a header \({first}\) .*label, class, target or y"):
        read_csv("data.csv", path)


def test_a_header_that_counts_all_columns_is_refused(path: Path) -> None:
    """Column numbers from 0, as pandas writes where nobody named the columns, do not say which is the label."""
    path.write_text(",".join(map(str, range(17))) + "\n1" + ",0" * 16 + "\n2" + ",0" * 16 + "\n")

    with pytest.raises(SourceError, match=r"has a header \(0, 1, 2, 3, 4, \.\.\.\)"):
        read_csv("data.csv", path)


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("label,p0,p1,p2,class", r"two columns of labels, label \(column 1\) and class \(column 5\)"),
        ("y,p0,p1,Y,p2", r"two columns of labels, y \(column 1\) and Y \(column 4\)"),
        ("label,p0,p1,p2", "the header names 4 columns, but line 2 has 5 values"),
        ("label,p0,p1,p2,p3,p4", "the header names 6 columns, but line 2 has 5 values"),
        ("id,p0,p1,p2,label", "3 pixels per line, not a square number: pass --size HxW, and --channels 3 for"),
        ("p0,p1,note,p2,label", "a column 'note' among columns of pixels such as p0"),
        ("p0,p1,label,p2,fold", "a column 'fold' among columns of pixels such as p0"),
        ("label,p0,p1,p10,p2", "pixels out of order: p2 comes after p10"),
        ("1x1,2x1,1x2,2x2,label", "pixels out of order: 1x2 comes after 2x1"),
        ("label,p0,p1,p1,p2", "pixels out of order: p1 comes after p1"),
    ],
)
def test_a_header_that_cannot_be_meant_is_refused(path: Path, header: str, message: str) -> None:
    """Two labels, a name too few or too many, a column that is no pixel, pixels sorted as text."""
    path.write_text(f"{header}\n1,0,0,0,2\n2,9,9,9,1\n")

    with pytest.raises(SourceError, match=message):
        read_csv("data.csv", path)


def test_a_wrong_pixel_before_the_label_is_named(path: Path) -> None:
    """By its place in the file."""
    path.write_text("p0,p1,label,p2,p3\n0,0,a,0,0\n0,256,b,0,0\n")

    with pytest.raises(SourceError, match="line 3, column 2: '256' is not a pixel"):
        read_csv("data.csv", path)


def test_a_class_may_be_called_like_the_column(path: Path) -> None:
    """Without a header the first column is the label, whatever it says; and that is noted."""
    path.write_text("y,0,9,2,3\nn,0,1,2,3\n")

    source = read_csv("data.csv", path)

    assert source.classes == ("n", "y")
    assert source.notes == ("labels: the first column, because there is no header",)


def test_a_first_example_that_happens_to_count_is_kept(path: Path) -> None:
    """Words as labels all the way down: the first line is an example like the others."""
    path.write_text("cat,0,1,2,3\ndog,0,1,2,3\n")

    source = read_csv("data.csv", path)

    assert source.classes == ("cat", "dog")


def test_size_gives_the_shape_of_images_that_are_not_square(path: Path) -> None:
    """Height comes first."""
    path.write_text("a,1,2,3,4,5,6\nb,0,0,0,0,0,0\n")

    source = read_csv("data.csv", path, Wanted(size=(2, 3)))

    assert source.splits["all"].images[0].tolist() == [[1, 2, 3], [4, 5, 6]]


@given(
    pixels=hnp.arrays(np.uint8, st.tuples(st.integers(2, 6), st.just(4))),
    names=st.lists(
        st.text(st.characters(categories=("L", "P", "S")), min_size=1, max_size=8), min_size=2, max_size=2, unique=True
    ),
)
def test_any_table_is_read_back_as_it_was(
    tmp_path_factory: pytest.TempPathFactory, pixels: np.ndarray, names: list[str]
) -> None:
    """Reading gives the pixels and the names that Python's csv module wrote, quoted where it must be."""
    path = tmp_path_factory.mktemp("csv") / "data.csv"
    labels = [names[i % 2] for i in range(len(pixels))]
    text = io.StringIO()
    csv.writer(text).writerows([label, *row] for label, row in zip(labels, pixels.tolist(), strict=True))
    path.write_text(text.getvalue(), encoding="utf-8", newline="")

    source = read_csv("data.csv", path)

    assert [source.classes[k] for k in source.splits["all"].labels] == labels
    np.testing.assert_array_equal(source.splits["all"].images[:].reshape(-1, 4), pixels)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("1,0,0,0,0\n\n2,0,x,0,0\n", "line 3, column 3: 'x' is not a pixel; expected a whole number from 0 to 255"),
        ("label,a,b,c,d\n2,0,0,0,256\n", "line 2, column 5: '256'"),
        ("1,0,0,0,0\n2,0,-1,0,0\n", "line 2, column 3: '-1'"),
        ("1,0,0,0,0\n2,0,0.5,0,0\n", "line 2, column 3: '0.5'"),
        ("1,0,0,0,0\n2,0,,0,0\n", "line 2, column 3: ''"),
        ("1,0,0,0,0\n2,0,0,\0,0\n", "line 2, column 4"),
        ("1,0,0,0,0\n2,0,0,0\n", "line 2: 4 values; expected 5"),
        ("1,0,0,0,0\n2,0,0,0,0,0\n", "line 2: 6 values; expected 5"),
        ("0.5,0.5,0.5,0.5,0.5\n1,0,0,0,0\n", "line 1, column 2: '0.5'"),
        ("1,0,0,0,0,0\n2,0,0,0,0,0\n", "5 pixels per line, not a square number: pass --size HxW"),
        ("1\n2\n", "only one column"),
        ("label,a,b,c,d\n", "a header but no examples"),
        ("", "is empty"),
        ("\n\n", "is empty"),
        ("-1,0,0,0,0\n1,0,0,0,0\n", "label of example 1 is '-1'"),
        ("1,0,0,0,0\n3.0,0,0,0,0\n", "label of example 2 is '3.0'"),
        ("x" * 300 + ",0,0,0,0\n1,0,0,0,0\n", "name of up to 200 characters"),
        (",0,0,0,0\n1,0,0,0,0\n", "a class named ''"),
        ("a\0b,0,0,0,0\n1,0,0,0,0\n", r"a class named 'a\\x00b'"),
        ("1," + "0" * 200_000 + "\n", "not a CSV file: field larger"),
    ],
)
def test_a_wrong_line_is_named(path: Path, content: str, message: str) -> None:
    """The message gives the line, what came and what was expected."""
    path.write_text(content)

    with pytest.raises(SourceError, match=message):
        read_csv("data.csv", path)


def test_a_wrong_byte_far_down_is_found(path: Path) -> None:
    """The whole file must be text, not only its first lines."""
    path.write_bytes(b"1,0,0,0,0\n2,0,0,0,0\n" * 20_000 + b"\xff,0,0,0,0\n")

    with pytest.raises(SourceError, match="not a text file in UTF-8"):
        read_csv("data.csv", path)


def test_a_folder_called_csv_is_a_source_error(tmp_path: Path) -> None:
    """What the system refuses to read is said in one sentence."""
    with pytest.raises(SourceError, match="cannot be read: Is a directory"):
        read_csv("data.csv", tmp_path)


def test_a_size_that_does_not_fit_is_refused(path: Path) -> None:
    """Both numbers of pixels are named."""
    path.write_text("1,0,0,0,0\n2,0,0,0,0\n")

    with pytest.raises(SourceError, match="4 pixels per line, but --size 3x2 needs 6"):
        read_csv("data.csv", path, Wanted(size=(3, 2)))


@pytest.mark.parametrize("content", [b"1,0,0,0,0\n\xff\xfe,0,0,0,0\n", b"\x89PNG\r\n\x1a\n\0\0"])
def test_a_file_that_is_no_text_is_refused(path: Path, content: bytes) -> None:
    """Other encodings and other kinds of file are told from CSV."""
    path.write_bytes(content)

    with pytest.raises(SourceError, match=r"data\.csv is not a text file in UTF-8"):
        read_csv("data.csv", path)


@given(content=st.text(max_size=40) | st.text('01,\n\r" x-.\0', max_size=40))
def test_arbitrary_text_gives_a_source_or_a_source_error(
    tmp_path_factory: pytest.TempPathFactory, content: str
) -> None:
    """No content whatever ends in another exception or in a warning."""
    path = tmp_path_factory.mktemp("csv") / "data.csv"
    path.write_bytes(content.encode("utf-8", "surrogatepass"))

    try:
        source = read_csv("data.csv", path)
    except SourceError:
        return

    assert source.classes
