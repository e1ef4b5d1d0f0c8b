"""What of the images' files comes into a bundle."""

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vouch.bundle.answers import ANSWERS, Answers
from vouch.bundle.new_validation import from_files
from vouch.bundle.pixel_settings import PixelSettings
from vouch.bundle.pixels import decode
from vouch.sources.examples import Examples
from vouch.sources.names import Names
from vouch.sources.rewriting import as_callers_send
from vouch.trainer.errors import TrainError
from vouch.trainer.publish.validation import as_judged

PIXELS = PixelSettings(height=8, width=8, channels=3)
NAMES = ("my garden, 5 Elm Street.jpg", "scan of Anna.bmp", "holiday.png")


def a_folder(path: Path) -> Examples:
    """A photograph with a position and an orientation, one of a kind that callers cannot send, and one with a text."""
    pictures = [Image.fromarray(np.random.default_rng(n).integers(0, 255, (20, 30, 3), np.uint8)) for n in range(3)]
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "A camera of Anna's"
    exif.get_ifd(0x8825).update({1: "N", 2: (48.0, 8.0, 12.0), 3: "E", 4: (11.0, 34.0, 45.0)})
    pictures[0].save(path / NAMES[0], exif=exif, quality=90, comment=b"Elm Street")
    pictures[1].save(path / NAMES[1])
    pictures[2].info["title"] = "Anna"
    pictures[2].save(path / NAMES[2], exif=exif)
    images = np.stack([decode(as_callers_send((path / name).read_bytes()), PIXELS) for name in NAMES])
    return Examples(images, np.array([0, 1, 1]), names=Names(folder=path, files=NAMES))


def test_a_bundle_holds_no_position_and_no_name(tmp_path: Path) -> None:
    """The photograph lies as it was turned, and becomes the same pixels; what a camera or a person wrote is gone."""
    examples, file = a_folder(tmp_path), io.BytesIO()
    answers = Answers(examples.labels, examples.labels, np.full(3, 0.75, np.float32))

    from_files(as_judged(examples, PIXELS), answers, ("cat", "dog"))(file)

    content = file.getvalue()
    with zipfile.ZipFile(file) as archive:
        assert archive.namelist() == ["000000.jpg", "000001.png", "000002.png", ANSWERS]
        stored = [archive.read(name) for name in archive.namelist()[:3]]
    assert [decode(one, PIXELS).tolist() for one in stored] == examples.images[:].tolist()
    for secret in (b"Elm", b"Anna", b"garden", b"holiday", b"camera", str(tmp_path).encode()):
        assert secret not in content
    for one in stored:
        exif = Image.open(io.BytesIO(one)).getexif()
        assert set(exif) <= {0x0112}
        assert not exif.get_ifd(0x8825)


@pytest.mark.parametrize("change", ["another picture", "no picture", "gone"])
def test_a_file_that_changed_while_it_was_trained_on_is_not_published(tmp_path: Path, change: str) -> None:
    """What is stored has to be what was judged."""
    examples = a_folder(tmp_path)
    path = tmp_path / NAMES[2]
    if change == "another picture":
        Image.new("RGB", (20, 30)).save(path)
    elif change == "no picture":
        path.write_bytes(b"nothing")
    else:
        path.unlink()

    with pytest.raises(TrainError, match=r"holiday\.png (changed while the model was trained|can no longer be read)"):
        list(as_judged(examples, PIXELS))
