import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vouch.bundle.pixel_settings import PixelSettings
from vouch.bundle.pixels import decode
from vouch.sources.errors import SourceError
from vouch.sources.folders import read_image_folder
from vouch.sources.wanted import Wanted


def save(path: Path, value: int | tuple[int, int, int] = 0, size: tuple[int, int] = (4, 3)) -> None:
    """An image of one colour; the size is height and width."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L" if isinstance(value, int) else "RGB", size[::-1], value).save(path)


def test_folders_are_classes_in_natural_order(tmp_path: Path) -> None:
    """Without splits there is `all`; images come in the order of class folders and file names, classes in numbers'."""
    save(tmp_path / "10" / "b.png", 20)
    save(tmp_path / "10" / "a.png", 10)
    save(tmp_path / "9" / "c.PNG", 30)

    source = read_image_folder("here", tmp_path)

    assert (source.name, source.classes, list(source.splits)) == ("here", ("9", "10"), ["all"])
    assert source.splits["all"].labels.tolist() == [1, 1, 0]
    assert source.splits["all"].images.shape == (3, 4, 3)
    assert source.splits["all"].images[:][:, 0, 0].tolist() == [10, 20, 30]


@pytest.mark.parametrize(
    ("fit", "tune", "validation"),
    [
        ("fit", "tune", "validation"),
        ("train", "tune", "test"),
        ("Train", "Tune", "Test"),
        ("train", "tune", "val"),
        ("train", "val", "test"),
    ],
)
def test_folders_named_after_splits_are_splits(tmp_path: Path, fit: str, tune: str, validation: str) -> None:
    """Each split has its own images; a class may be missing from one of them."""
    save(tmp_path / fit / "cat" / "1.png", 1)
    save(tmp_path / fit / "dog" / "1.png", 2)
    save(tmp_path / tune / "cat" / "1.png", 3)
    save(tmp_path / validation / "dog" / "1.png", 4)

    source = read_image_folder("here", tmp_path)

    assert source.classes == ("cat", "dog")
    found = {split: (part.images[:][:, 0, 0].tolist(), part.labels.tolist()) for split, part in source.splits.items()}
    assert found == {"fit": ([1, 2], [0, 1]), "tune": ([3], [0]), "validation": ([4], [1])}


def test_one_colour_image_makes_all_of_them_colour(tmp_path: Path) -> None:
    """Grey images get the channels of the others, because one model takes all."""
    save(tmp_path / "a" / "1.png", 7)
    save(tmp_path / "b" / "1.png", (1, 2, 3))

    source = read_image_folder("here", tmp_path)

    assert source.splits["all"].images.shape == (2, 4, 3, 3)
    assert source.splits["all"].images[:][:, 0, 0].tolist() == [[7, 7, 7], [1, 2, 3]]


def test_pixels_are_those_that_the_server_would_decode(tmp_path: Path) -> None:
    """Resizing and orientation are bundle.pixels' own, so that training and serving see the same."""
    turned = Image.Exif()
    turned[0x0112] = 6
    noise = np.random.default_rng(0).integers(0, 256, (9, 12), dtype=np.uint8)
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        Image.fromarray(noise).save(tmp_path / name / "1.jpeg", exif=turned)

    own_size = read_image_folder("here", tmp_path)
    resized = read_image_folder("here", tmp_path, Wanted(size=(5, 6)))

    assert own_size.splits["all"].images.shape == (2, 12, 9)
    expected = decode((tmp_path / "a" / "1.jpeg").read_bytes(), PixelSettings(height=5, width=6))
    np.testing.assert_array_equal(resized.splits["all"].images[0], expected)


def test_images_of_several_sizes_need_a_size(tmp_path: Path) -> None:
    """Nothing is resized in silence; with a size, all become one shape."""
    save(tmp_path / "a" / "1.png", size=(4, 3))
    save(tmp_path / "b" / "1.png", size=(5, 3))

    with pytest.raises(SourceError, match=r"differ in size \(4x3, 5x3\); pass --size HxW"):
        read_image_folder("here", tmp_path)

    assert read_image_folder("here", tmp_path, Wanted(size=(2, 2))).splits["all"].images.shape == (2, 2, 2)


def test_hidden_and_other_files_are_left_alone(tmp_path: Path) -> None:
    """What an operating system or a person leaves beside images is not read."""
    save(tmp_path / "a" / "1.png")
    save(tmp_path / "b" / "1.png")
    (tmp_path / ".git").mkdir()
    (tmp_path / "README.md").write_text("about")
    (tmp_path / "a" / "._1.png").write_bytes(b"not an image")
    (tmp_path / "a" / "notes.txt").write_text("about")
    (tmp_path / "a" / "folder.png").mkdir()

    source = read_image_folder("here", tmp_path)

    assert len(source.splits["all"]) == 2


def test_all_broken_images_are_reported_together(tmp_path: Path) -> None:
    """One message counts them, names them and gives reasons for a few, whenever in reading they were found."""
    for i in range(6):
        save(tmp_path / "a" / f"{i}.png", i)
    save(tmp_path / "b" / "1.png")
    (tmp_path / "a" / "0.png").write_bytes(b"no image")
    noise = np.random.default_rng(0).integers(0, 256, (4, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "a" / "1.png")
    (tmp_path / "a" / "1.png").write_bytes((tmp_path / "a" / "1.png").read_bytes()[:-25])
    (tmp_path / "a" / "2.png").write_bytes(b"")
    (tmp_path / "a" / "3.png").unlink()
    (tmp_path / "a" / "3.png").symlink_to(tmp_path / "nowhere")

    with pytest.raises(
        SourceError, match=r"4 of the 7 images .*a/0\.png: .*; a/1\.png: .*; a/2\.png: .*; also a/3\.png\)"
    ):
        read_image_folder("here", tmp_path)


def test_of_very_many_broken_images_twenty_are_named(tmp_path: Path) -> None:
    """The rest is counted, so that the message can be read."""
    save(tmp_path / "b" / "1.png")
    (tmp_path / "a").mkdir()
    for i in range(30):
        (tmp_path / "a" / f"{i:02}.png").write_bytes(b"no image")

    with pytest.raises(SourceError, match=r"^30 of the 31 images .*; also a/03\.png, .*, a/19\.png and 10 more\)"):
        read_image_folder("here", tmp_path)


def test_nothing_but_broken_images_is_reported_as_such(tmp_path: Path) -> None:
    """Where no header can be read there is no size to ask for."""
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "1.jpg").write_bytes(b"no image")

    with pytest.raises(SourceError, match=r"2 of the 2 images .* cannot be read"):
        read_image_folder("here", tmp_path)


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    """Something that is no file is broken, not read for ever."""
    save(tmp_path / "a" / "1.png")
    save(tmp_path / "b" / "1.png")
    os.mkfifo(tmp_path / "b" / "2.png")

    with pytest.raises(SourceError, match="no plain file"):
        read_image_folder("here", tmp_path)


def test_images_that_fit_into_no_memory_are_refused(tmp_path: Path) -> None:
    """The advice is a smaller size."""
    save(tmp_path / "a" / "1.png")
    save(tmp_path / "b" / "1.png")

    with pytest.raises(SourceError, match="do not fit into memory; pass a smaller --size"):
        read_image_folder("here", tmp_path, Wanted(size=(2**31, 2**31)))


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ([], "holds nothing and no folder of a class's images; expected <label>"),
        (["1.png", "2.png"], "holds 1.png, 2.png and no folder"),
        (["train/1.png", "test/1.png"], "test holds 1.png and no folder of a class's images; .*<split>/<label>"),
        (["a/1.png"], "of one class, a; expected at least two"),
        (["train/a/1.png", "test/a/1.png"], "of one class, a"),
        (["a/1.png", "b/1.gif", "b/2.gif", "b/3.bmp", "b/4.txt"], "class .*/b has no image: .*3.bmp and 1 more"),
        (["a/1.png", "b/.hidden.png"], "class .*/b has no image: it holds nothing"),
        (["train/a/1.png", "train/b/x.gif", "test/a/1.png", "test/b/1.png"], "class .*train/b has no image"),
        (["train/a/1.png", "cat/1.png"], "holds train, a split, beside cat; .*not both"),
        (["train/a/1.png", "val/a/1.png", "validation/a/1.png"], "two folders for one split among train, val"),
        (["train/a/1.png", "fit/a/1.png"], "two folders for one split among fit, train"),
        (["a/1.png", "b\n/1.png"], r"a class named 'b\\n'"),
    ],
)
def test_a_folder_that_is_laid_out_otherwise_is_refused(tmp_path: Path, files: list[str], message: str) -> None:
    """The message names the folder at fault and both layouts that are read."""
    for name in files:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"") if path.suffix != ".png" else save(path)

    with pytest.raises(SourceError, match=message):
        read_image_folder("here", tmp_path)


def test_what_is_no_image_file_is_left_out_and_said(tmp_path: Path) -> None:
    """Other endings and folders within a class are counted and named; hidden files are nobody's concern."""
    for label in ("cat", "dog"):
        save(tmp_path / label / "1.png")
        (tmp_path / label / ".hidden.webp").touch()
    clean = read_image_folder("here", tmp_path).warnings
    (tmp_path / "cat" / "2.webp").touch()
    save(tmp_path / "dog" / "more" / "3.png")
    source = read_image_folder("here", tmp_path)

    assert clean == ()
    assert len(source.splits["all"]) == 2
    assert source.warnings == (
        f"left out 2 things that are no image files among the classes of {tmp_path} (cat/2.webp, dog/more); "
        "expected .png, .jpg, .jpeg",
    )
