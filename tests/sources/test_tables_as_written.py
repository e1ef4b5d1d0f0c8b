"""Tables of pixels as people and their programs write them: separators, columns beside the pixels, colour, scales."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from vouch.sources.errors import SourceError
from vouch.sources.tables import read_csv
from vouch.sources.wanted import Wanted

GREY = np.arange(0, 240, 20, dtype=np.uint8).reshape(3, 2, 2)
COLOUR = np.arange(0, 252, 7, dtype=np.uint8).reshape(3, 2, 2, 3)
KINDS = ("cat", "dog", "cat")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data.csv"


def lines_of(pixels: np.ndarray, line: str, join: str = ",") -> str:
    """`line` for each image, with its number N, its label L and its pixels P."""
    rows = (join.join(map(str, image.reshape(-1).tolist())) for image in pixels)
    return "".join(
        line.replace("N", str(n)).replace("L", kind).replace("P", row) + "\n"
        for n, (kind, row) in enumerate(zip(KINDS, rows, strict=True))
    )


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("label;p0;p1;p2;p3\n" + lines_of(GREY, "L;P", ";"), "semicolons between its values"),
        (lines_of(GREY, "L\tP", "\t"), "tabs between its values"),
        ("sep=;\nlabel;p0;p1;p2;p3\n" + lines_of(GREY, "L;P", ";"), "semicolons between its values"),
        (("label,p0,p1,p2,p3\n" + lines_of(GREY, "L,P")).encode("utf-16"), "UTF-16 text"),
        ((lines_of(GREY, "L,P")).encode("utf-16-le"), "UTF-16 text"),
        (",label,p0,p1,p2,p3\n" + lines_of(GREY, "N,L,P"), "ignored: ''"),
        ("id,label,p0,p1,p2,p3\n" + lines_of(GREY, "xN,L,P"), "ignored: id"),
        ("Unnamed: 0,p0,p1,p2,p3,species\n" + lines_of(GREY, "N,P,L"), "ignored: Unnamed: 0"),
        ("label,pixels\n" + lines_of(GREY, "L,P", " "), ""),
        ("id,image,emotion\n" + lines_of(GREY, "N,P,L", " "), "ignored: id"),
        (lines_of(GREY, "L,P", " "), ""),
        ("label,pixels\n" + lines_of(GREY, 'L,"[P]"', ", "), ""),
        (lines_of(GREY, "P,L"), ""),
        ("label,p0,p1,p2,p3\n" + lines_of(GREY.astype(float), "L,P"), "pixels: float32, 0 to 220, converted to 8 bits"),
        ("label,p0,p1,p2,p3\n" + lines_of(GREY / 255, "L,P"), "pixels: float32, 0 to 0.862745, converted to 0 to 255"),
        ("label,pixels\n" + lines_of(GREY / 255, "L,P", " "), "converted to 0 to 255"),
    ],
)
def test_spellings_are_read_and_said(path: Path, content: str | bytes, said: str) -> None:
    """The same images and labels, however they are written."""
    path.write_bytes(content if isinstance(content, bytes) else content.encode())

    source = read_csv("data.csv", path)

    part = source.splits["all"]
    assert [source.classes[k] for k in part.labels] == list(KINDS)
    np.testing.assert_array_equal(part.images, GREY)
    assert said in "".join(source.notes[1:])
    assert bool(said) == (len(source.notes) > 1)


@pytest.mark.parametrize(
    ("header", "moved", "wanted"),
    [
        ("", lambda images: images, Wanted()),
        ("", lambda images: images, Wanted(channels=3)),
        ("", lambda images: images, Wanted(size=(2, 2))),
        ("", lambda images: images.transpose(0, 3, 1, 2), Wanted(layout="nchw")),
        (
            "label," + ",".join(f"pixel_{r}_{c}_{k}" for r in (0, 1) for c in (0, 1) for k in "rgb"),
            lambda i: i,
            Wanted(),
        ),
        ("label," + ",".join(f"p{n}{k}" for n in range(4) for k in "RGB"), lambda i: i, Wanted()),
        ("label," + ",".join(f"{k}{n}" for k in "rgb" for n in range(4)), lambda i: i.transpose(0, 3, 1, 2), Wanted()),
        (
            "label," + ",".join(f"{k}_{n}" for k in ("blue", "green", "red") for n in range(4)),
            lambda i: i[..., ::-1].transpose(0, 3, 1, 2),
            Wanted(),
        ),
        (
            "label," + ",".join(f"p{r}.{c}.{k}" for r in (0, 1) for c in (0, 1) for k in (0, 1, 2)),
            lambda i: i,
            Wanted(channels=3),
        ),
    ],
)
def test_colour_is_read_by_its_number_or_by_its_names(
    path: Path, header: str, moved: Callable[[np.ndarray], np.ndarray], wanted: Wanted
) -> None:
    """Three times a square number, `--channels`, `--size` or the header; in the order that the names or a flag say."""
    path.write_text(f"{header}\n" * bool(header) + lines_of(moved(COLOUR), "L,P"))

    source = read_csv("data.csv", path, wanted)

    np.testing.assert_array_equal(source.splits["all"].images, COLOUR)
    assert "2 x 2 pixels" in source.notes[1]


def test_names_that_count_rows_and_columns_give_the_size(path: Path) -> None:
    """Images that are not square need no flag then."""
    path.write_text("label,1x1,1x2,1x3,2x1,2x2,2x3\na,1,2,3,4,5,6\nb,0,0,0,0,0,0\n")

    assert read_csv("data.csv", path).splits["all"].images[0].tolist() == [[1, 2, 3], [4, 5, 6]]


def test_a_column_of_splits_is_obeyed(path: Path) -> None:
    """As the commonest table of faces has it, with all pixels in one column."""
    path.write_text(
        "emotion,pixels,Usage\n0,1 2 3 4,Training\n3,5 6 7 8,Training\n0,9 9 9 9,PublicTest\n3,7 7 7 7,PrivateTest\n"
    )

    source = read_csv("data.csv", path)

    assert {split: part.images[:][:, 0, 0].tolist() for split, part in source.splits.items()} == {
        "fit": [1, 5],
        "tune": [9],
        "validation": [7],
    }
    assert source.notes[-1] == "splits: Training as fit, PublicTest as tune, PrivateTest as validation"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("label,pixels\na,1 2 3 4\nb,1 2 3\n", "line 3: 3 pixels; expected 4 as in the first line"),
        ("label,pixels\na,1 2 3 4\nb,1 2 3 x\n", "line 3, pixel 4: 'x' is not a pixel; expected a whole number from 0"),
        ("label,pixels\na,1 2 3 4\nb,1 2 3 256\n", "line 3, pixel 4: '256' is not a pixel"),
        ("a,1 2 3 4,train\nb,1 2 3 4,val\n", "3 columns and no header; expected a header that names them"),
        ("label;p0;p1;p2;p3\na;0,5;0,5;0,5;1\n", "line 2, column 2: '0,5' is not a pixel; .* with a decimal point"),
        ("label,p0,p1,p2,p3\na,0,0.5,1,1\nb,0,0,0,0\n", "line 2, column 3: '0.5' is not a pixel"),
        ("label,p0,p1,p2,p3\na,0,0.2,1,300\nb,0,0,0,0\n", "line 2, column 3: '0.2' is not a pixel"),
        (
            ",p0,p1,p2,p3,label\n5,0,0,0,0,a\n9,0,0,0,0,b\n",
            "first column without a name that does not number the lines",
        ),
        (
            "label,r0,r1,g0,g1,b0,b2\na,0,0,0,0,0,0\nb,0,0,0,0,0,0\n",
            "2 columns of red, 2 of green and 2 of blue, not all",
        ),
        ("file,label\na.png,x\nb.png,y\n", "is a list of files, not a table of pixels; put it into the folder"),
        (
            "label,pixels,split\na,1 2 3 4,train\nb,1 2 3 4,training\n",
            "column of splits .*train and training both mean",
        ),
    ],
)
def test_what_is_wrong_or_may_be_several_things_is_refused(path: Path, content: str, message: str) -> None:
    """With the line, the value and what was expected."""
    path.write_text(content)

    with pytest.raises(SourceError, match=message):
        read_csv("data.csv", path)


def test_latin_1_is_read_where_a_letter_here_and_there_has_an_accent(path: Path) -> None:
    """Words of another alphabet are refused: as Latin-1 they would be other words."""
    path.write_bytes("Möwe,1,2,3,4\nSpatz,0,0,0,0\n".encode("latin-1"))

    source = read_csv("data.csv", path)

    assert source.classes == ("Möwe", "Spatz")
    assert "Windows-1252" in source.notes[1]
    path.write_bytes(b"\xe6\xf3\xea,1,2,3,4\n\xeb\xe8\xf1\xe0,0,0,0,0\n")  # in Windows-1251
    with pytest.raises(SourceError, match="is not a text file in UTF-8"):
        read_csv("data.csv", path)


def test_a_line_has_a_bound(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before it is held in memory."""
    monkeypatch.setattr("vouch.sources.text_tables.CHUNK_BYTES", 64)
    path.write_text("a,0,0,0,0\nb," + "0" * 200 + ",0,0,0\n")
    monkeypatch.setattr("vouch.sources.text_tables.MAX_LINE_BYTES", 100)

    with pytest.raises(SourceError, match=r"line 2 has over 100 bytes; expected one line per image"):
        read_csv("data.csv", path)


@pytest.mark.parametrize("pixels", [[0, 255], [0, 1], [0, 7]], ids=["black and white", "bits", "grey"])
def test_labels_at_the_end_are_not_overlooked_without_a_header(path: Path, pixels: list[int]) -> None:
    """A pixel is never taken for the label where the last column counts classes and the first does not."""
    path.write_text("".join(f"{pixels[n % 2]},0,1,0,{n % 3}\n" for n in range(12)))

    with pytest.raises(SourceError, match=r"no header, and its labels may be in the first column \(0, \d+\) or in"):
        read_csv("data", path)


@pytest.mark.parametrize("last", [[0], [0, 255], [0, 1]])
def test_labels_in_front_need_no_header(path: Path, last: list[int]) -> None:
    """Whatever the last pixels are, as long as the first column counts classes and is no bit among bits."""
    path.write_text("".join(f"{n % 3},9,1,0,{last[n % len(last)]}\n" for n in range(12)))

    assert read_csv("data", path).classes == ("0", "1", "2")


def test_labels_that_are_all_written_as_floats_are_whole_numbers(path: Path) -> None:
    """As numpy writes a table."""
    np.savetxt(path, np.column_stack([[1, 0, 1], GREY.reshape(3, -1)]), delimiter=",")

    source = read_csv("data", path)

    assert (source.classes, source.splits["all"].labels.tolist()) == (("0", "1"), [1, 0, 1])
    assert np.array_equal(source.splits["all"].images[:], GREY)
    assert "labels: whole numbers stored as floats" in source.notes[-1]
