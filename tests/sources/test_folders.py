import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vouch.bundle.pixel_settings import PixelSettings
from vouch.bundle.pixels import decode
from vouch.sources.errors import SourceError
from vouch.sources.examples import Source
from vouch.sources.folder_rules import AS_IT_IS, FolderRules
from vouch.sources.folders import list_image_folder, read_image_folder
from vouch.sources.load import load
from vouch.sources.wanted import NOTHING, Wanted


def read(folder: Path, wanted: Wanted = NOTHING, rules: FolderRules = AS_IT_IS) -> Source:
    """As a training reads it."""
    return read_image_folder("here", list_image_folder(folder, rules=rules), wanted)


def save(path: Path, value: int | tuple[int, int, int] = 0, size: tuple[int, int] = (4, 3)) -> None:
    """An image of one colour; the size is height and width."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L" if isinstance(value, int) else "RGB", size[::-1], value).save(path)


def test_folders_are_classes_in_natural_order(tmp_path: Path) -> None:
    """Without splits there is `all`; images come in the order of class folders and file names, classes in numbers'."""
    save(tmp_path / "10" / "b.png", 20)
    save(tmp_path / "10" / "a.png", 10)
    save(tmp_path / "9" / "c.PNG", 30)

    source = read(tmp_path)

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

    source = read(tmp_path)

    assert source.classes == ("cat", "dog")
    found = {split: (part.images[:][:, 0, 0].tolist(), part.labels.tolist()) for split, part in source.splits.items()}
    assert found == {"fit": ([1, 2], [0, 1]), "tune": ([3], [0]), "validation": ([4], [1])}


def test_one_colour_image_makes_all_of_them_colour(tmp_path: Path) -> None:
    """Grey images get the channels of the others, because one model takes all."""
    save(tmp_path / "a" / "1.png", 7)
    save(tmp_path / "b" / "1.png", (1, 2, 3))

    source = read(tmp_path)

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

    own_size = read(tmp_path)
    resized = read(tmp_path, Wanted(size=(5, 6)))

    assert own_size.splits["all"].images.shape == (2, 12, 9)
    expected = decode((tmp_path / "a" / "1.jpeg").read_bytes(), PixelSettings(height=5, width=6))
    np.testing.assert_array_equal(resized.splits["all"].images[0], expected)


def test_images_of_several_sizes_need_a_size(tmp_path: Path) -> None:
    """Nothing is resized in silence; with a size, all become one shape."""
    save(tmp_path / "a" / "1.png", size=(4, 3))
    save(tmp_path / "b" / "1.png", size=(5, 3))

    with pytest.raises(SourceError, match=r"differ in size \(4x3, 5x3\); pass --size HxW for all, such as --size 5"):
        read(tmp_path)

    assert read(tmp_path, Wanted(size=(2, 2))).splits["all"].images.shape == (2, 2, 2)


def test_photos_that_are_turned_by_their_metadata_have_one_size(tmp_path: Path) -> None:
    """EXIF orientation is obeyed before sizes are compared; those that are truly turned are said to be."""
    turned = Image.Exif()
    turned[0x0112] = 6
    for label in ("a", "b"):
        (tmp_path / label).mkdir()
        Image.new("L", (16, 24)).save(tmp_path / label / "1.jpeg")
        Image.new("L", (24, 16)).save(tmp_path / label / "2.jpeg", exif=turned)

    assert read(tmp_path).splits["all"].images.shape == (4, 24, 16)
    Image.new("L", (24, 16)).save(tmp_path / "a" / "3.jpeg")
    with pytest.raises(SourceError, match=r"16x24, 24x16.*; some are as high as others are wide: rotate them"):
        read(tmp_path)


def test_hidden_and_other_files_are_left_alone(tmp_path: Path) -> None:
    """What an operating system or a person leaves beside images is not read."""
    save(tmp_path / "a" / "1.png")
    save(tmp_path / "b" / "1.png")
    (tmp_path / ".git").mkdir()
    (tmp_path / "README.md").write_text("about")
    (tmp_path / "a" / "._1.png").write_bytes(b"not an image")
    (tmp_path / "a" / "notes.txt").write_text("about")
    (tmp_path / "a" / "folder.png").mkdir()

    source = read(tmp_path)

    assert len(source.splits["all"]) == 2


def test_a_few_broken_images_are_left_out_and_named(tmp_path: Path) -> None:
    """The others are read as if these were not there, whatever is wrong with them; they are counted, with reasons."""
    for i in range(8):
        save(tmp_path / "a" / f"{i}.png", i)
    save(tmp_path / "b" / "1.png", 9)
    whole = (tmp_path / "a" / "1.png").read_bytes()
    (tmp_path / "a" / "0.png").write_bytes(b"no image")
    (tmp_path / "a" / "1.png").write_bytes(whole[:-25])
    (tmp_path / "a" / "2.png").write_bytes(b"")
    (tmp_path / "a" / "3.png").unlink()
    (tmp_path / "a" / "3.png").symlink_to(tmp_path / "nowhere")
    (tmp_path / "a" / "4.png").unlink()
    os.mkfifo(tmp_path / "a" / "4.png")

    source = read(tmp_path)

    part = source.splits["all"]
    assert ([int(image[0, 0]) for image in part.images], part.labels.tolist()) == ([5, 6, 7, 9], [0, 0, 0, 1])
    assert [part.names[row] for row in range(4)] == ["a/5.png", "a/6.png", "a/7.png", "b/1.png"]
    broken = source.left_out.by_reason["broken"]
    assert (source.left_out.images, broken.count) == (5, 5)
    assert [name.partition(": ")[0] for name in broken.names] == [f"a/{i}.png" for i in range(5)]
    assert "broken link" in broken.names[3]
    assert "not a regular file" in broken.names[4]
    assert source.warnings[0].startswith("left out 5 images that cannot be read (a/0.png: ")


def test_of_very_many_broken_images_twenty_are_named(tmp_path: Path) -> None:
    """The rest is counted, so that the message can be read."""
    save(tmp_path / "b" / "1.png")
    (tmp_path / "a").mkdir()
    for i in range(30):
        (tmp_path / "a" / f"{i:02}.png").write_bytes(b"no image")

    with pytest.raises(SourceError, match=r"^30 of the 31 images .*; also a/03\.png, .*, a/19\.png and 10 more\)"):
        read(tmp_path)


def test_nothing_but_broken_images_is_reported_as_such(tmp_path: Path) -> None:
    """Where no header can be read there is no size to ask for."""
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "1.jpg").write_bytes(b"no image")

    with pytest.raises(SourceError, match=r"2 of the 2 images .* cannot be read"):
        read(tmp_path)


def test_images_that_fit_into_no_memory_are_refused(tmp_path: Path) -> None:
    """The advice is a smaller size."""
    save(tmp_path / "a" / "1.png")
    save(tmp_path / "b" / "1.png")

    with pytest.raises(SourceError, match="do not fit into memory; pass a smaller --size"):
        read(tmp_path, Wanted(size=(2**31, 2**31)))


def test_strict_makes_an_error_of_what_is_left_out(tmp_path: Path) -> None:
    """What lists tell is said before an image is read, what decoding tells after it."""
    for label in ("a", "b"):
        save(tmp_path / label / "1.png")
    (tmp_path / "b" / "2.png").write_bytes(b"no image")
    rules = FolderRules(strict=True)

    with pytest.raises(SourceError, match=r"--strict: .*1 image that cannot be read \(b/2\.png: "):
        load(str(tmp_path), rules=rules)
    (tmp_path / "b" / "2.png").unlink()
    assert len(load(str(tmp_path), rules=rules).splits["all"]) == 2
    (tmp_path / "Thumbs.db").touch()
    with pytest.raises(SourceError, match=r"--strict: .*1 hidden or system file \(Thumbs\.db\)"):
        list_image_folder(tmp_path, rules=rules)


def test_what_is_left_out_is_said(tmp_path: Path) -> None:
    """Images in a warning, other things in a note; nothing is said where all was read."""
    for label in ("cat", "dog"):
        save(tmp_path / label / "1.png")
    clean = read(tmp_path)
    (tmp_path / "cat" / "2.heic").touch()
    (tmp_path / "cat" / "notes.txt").touch()

    source = read(tmp_path)

    assert (clean.warnings, clean.notes, clean.left_out.images) == ((), (), 0)
    assert source.warnings == ("left out 1 image of an unsupported kind (cat/2.heic)",)
    assert source.notes == ("left out 1 file that is not an image (cat/notes.txt)",)


def test_every_kind_of_image_file_is_read(tmp_path: Path) -> None:
    """A class of each kind, also where it is the only one; what callers cannot send has the pixels of its PNG file."""
    noise = np.random.default_rng(0).integers(0, 256, (5, 4), dtype=np.uint8)
    for name in ("a/1.png", "b/1.webp", "c/1.bmp", "d/1.GIF", "e/1.tif", "f/1.tiff", "g/1.jpe", "h/1.jfif"):
        (tmp_path / name).parent.mkdir()
        options = {"lossless": True} if name.endswith("webp") else {}
        kind = "JPEG" if name[0] in "gh" else None
        Image.fromarray(noise).save(tmp_path / name, kind, **options)

    source = read(tmp_path, Wanted(channels=1))

    assert source.classes == tuple("abcdefgh")
    for image in source.splits["all"].images[:6]:
        np.testing.assert_array_equal(image, noise)
    assert source.left_out.images == 0
