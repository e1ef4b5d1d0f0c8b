"""What the words of a command line mean as files."""

import os
from collections import Counter
from pathlib import Path

import pytest

from vouch.client.files import File, left_out_of, list_files

PNG, JPEG = b"\x89PNG\r\n\x1a\n...", b"\xff\xd8\xff\xe0..."


def make(folder: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


def names(folder: Path) -> list[str]:
    return [os.path.relpath(file.name, folder) for file in list_files([str(folder)]).files]


def test_a_folder_is_walked_in_the_order_of_names(tmp_path: Path) -> None:
    """Into the last folder; images by ending, in capitals too, and by content; what else is there is counted."""
    images = ("b.png", "a/z.JPG", "a/deep/er/x.jpeg", "a.jfif", "c.jpe", "d.webp", "e.TIF")
    by_content = {"no ending": PNG, "a/img.dat": JPEG, "z.dat": b"GIF89a"}
    others = {
        "x.heic": b"",
        "y.heic": b"",
        "g.txt": b"PNG",
        ".hidden.png": PNG,
        ".git/x.png": PNG,
        "f": b"",
        "empty": b"",
    }
    make(tmp_path, dict.fromkeys(images, b"") | by_content | others)

    listing = list_files([str(tmp_path)])

    assert names(tmp_path) == sorted((*images, *by_content), key=lambda name: Path(name).parts)
    assert listing.left_out == {str(tmp_path): Counter({".heic": 2, "hidden": 2, "without an ending": 2, ".txt": 1})}
    assert listing.notes()[0].startswith(f"{tmp_path}: 7 other files and folders are left out (2 ")


def test_words_keep_their_order_and_their_spelling(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files and folders as they were typed; a file that is named may be of any kind, and come twice."""
    make(tmp_path, {"in/b.png": PNG, "in/a.png": PNG, "x.txt": b"x"})
    monkeypatch.chdir(tmp_path)

    listing = list_files(["./x.txt", "in/", "-", "in/b.png", "none.png", "./x.txt"])

    assert [file.name for file in listing.files] == [
        *("./x.txt", "in/a.png", "in/b.png", "-", "in/b.png", "none.png", "./x.txt")
    ]
    assert {file.fault for file in listing.files} == {""}


def test_links_are_followed_and_never_in_circles(tmp_path: Path) -> None:
    """A folder is listed once, under its own name where it has one in there; a link to nothing keeps its place."""
    make(tmp_path, {"in/real/a.png": PNG, "in/b.png": PNG, "outside/c.png": PNG})
    folder = tmp_path / "in"
    for link, target in {
        "aa-real": "real",
        "real/up": "..",
        "real/itself": ".",
        "loop": "loop",
        "loop.png": "loop.png",
        "file.png": "b.png",
        "gone.png": "nowhere",
        "out": "../outside",
        "out2": "../outside",
    }.items():
        (folder / link).symlink_to(target)
    (tmp_path / "outside/back").symlink_to("../in")

    listing = list_files([str(folder)])

    assert names(folder) == ["b.png", "file.png", "gone.png", "loop.png", "out/c.png", "real/a.png"]
    assert listing.left_out[str(folder)] == Counter({"linked a second time": 5, "without an ending": 1})


def test_a_pipe_in_a_folder_is_not_opened(tmp_path: Path) -> None:
    """It would be waited for, for ever."""
    os.mkfifo(tmp_path / "pipe.png")
    make(tmp_path, {"a.png": PNG})

    assert list_files([str(tmp_path)]).files == [File(str(tmp_path / "a.png"))]
    assert list_files([str(tmp_path)]).left_out[str(tmp_path)] == Counter({"pipes and devices": 1})


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_folder_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    """The others are listed."""
    make(tmp_path, {"a/x.png": PNG, "b/y.png": PNG})
    (tmp_path / "a").chmod(0)

    assert list_files([str(tmp_path)]).files == [
        File(str(tmp_path / "a"), "cannot be read: Permission denied"),
        File(str(tmp_path / "b/y.png")),
    ]
    (tmp_path / "a").chmod(0o700)


@pytest.mark.parametrize(
    ("word", "fault"),
    [
        ("http://example.com/cat.png", "is a URL; vouch predict reads files: download it first"),
        ("S3://bucket/cat.png", "is a URL; vouch predict reads files: download it first"),
        ("data:image/png;base64," + "iVBORw0KGgo=" * 1000, "is a URL; vouch predict reads files: download it first"),
        ("", "is an empty name; expected a file, a folder, or - for standard input"),
    ],
)
def test_what_is_no_file_is_named_as_what_it_is(word: str, fault: str) -> None:
    """Before anything is read."""
    assert list_files([word]).files == [File(word, fault)]


def test_a_folder_called_like_a_url_is_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is there counts."""
    make(tmp_path, {"http:/cats/a.png": PNG})
    monkeypatch.chdir(tmp_path)

    assert [file.name for file in list_files(["http://cats", "http://cats/a.png"]).files] == [
        *("http://cats/a.png", "http://cats/a.png")
    ]


def test_a_folder_without_images_and_a_second_standard_input_are_faults(tmp_path: Path) -> None:
    """With what was found in their place."""
    make(tmp_path, {"in/a.txt": b"a"})
    (tmp_path / "empty").mkdir()

    files = list_files([str(tmp_path / "empty"), str(tmp_path / "in"), "-", "-"]).files

    assert [file.fault for file in files] == [
        "contains no image file",
        "contains no image file",
        "",
        "is given twice, but can be read only once",
    ]


def test_many_kinds_are_summed_up() -> None:
    """The commonest five, and the rest as a number."""
    kinds = Counter({f".{letter}": place + 1 for place, letter in enumerate("abcdefg")})

    assert left_out_of(kinds) == "28 other files and folders are left out (7 .g, 6 .f, 5 .e, 4 .d, 3 .c, 3 more)"
