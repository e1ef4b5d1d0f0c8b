"""Small data that published nonsense in silence, or cost minutes before an error, through the command itself."""

import json
import time
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vouch.bundle.store import ModelsFolder
from vouch.trainer.commands import train

pytestmark = pytest.mark.usefixtures("no_settings")
KINDS = ("bar", "square")


def drawings(count: int, high: int = 255) -> tuple[np.ndarray, list[str]]:
    """Images of 16 x 16, a bar in the upper half or a square in the lower one, with a little noise."""
    random = np.random.default_rng(0)
    images = random.integers(0, high // 8, (count, 16, 16))
    images[::2, 3:6, 1:15] = high
    images[1::2, 9:15, 5:11] = high
    return images, [KINDS[row % 2] for row in range(count)]


def listed(folder: Path, images: np.ndarray, labels: list[str], header: str = "") -> Path:
    """Files with a labels.csv."""
    (folder / "img").mkdir(parents=True)
    for row, image in enumerate(images):
        Image.fromarray(image.astype(np.uint8)).save(folder / "img" / f"{row}.png")
    lines = [f"img/{row}.png,{label}\n" for row, label in enumerate(labels)]
    (folder / "labels.csv").write_text(header + "".join(lines))
    return folder


def trained(path: Path, data: Path, *words: str) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of a training of the linear model."""
    arguments = ["--data", str(data), "--models", str(path / "models"), "--name", "t", "--device", "cpu", *words]
    model = [] if "--model" in words else ["--model", "linear"]
    with redirect_stdout(StringIO()) as out, redirect_stderr(StringIO()) as err:
        try:
            code = train([*arguments, *model, "--epochs", "3"])
        except SystemExit as ended:
            code = int(str(ended.code))
    return code, out.getvalue(), err.getvalue()


@pytest.mark.parametrize("header", ["", "file,label\n"])
def test_one_label_for_each_file_is_one_class_for_each_image(tmp_path: Path, header: str) -> None:
    """T1: the model has one answer for each image, a chance and label sets; what was read is in the JSON object."""
    code, out, err = trained(tmp_path, listed(tmp_path / "data", *drawings(80), header), "--json")

    manifest = ModelsFolder(tmp_path / "models").open("t", 1).manifest
    assert code == 0
    assert manifest.task == "single_label"
    assert manifest.claim.accuracy.accuracy == 1.0
    assert "read 80 images: 2 classes (bar 40, square 40), 16 x 16 pixels, grey, values 0 to 255\n" in err
    assert f"labels: one per image, as in {tmp_path}/data/labels.csv\n" in err
    assert json.loads(out.splitlines()[-1])["read"]["classes"] == {"bar": 40, "square": 40}


def test_a_second_label_or_a_flag_makes_it_several(tmp_path: Path) -> None:
    """T1: and a flag the other way is an error that names the image."""
    images, labels = drawings(80)
    one = listed(tmp_path / "one", images, labels)
    several = listed(tmp_path / "several", images, [*labels[:-1], "bar;square"])

    codes = [trained(tmp_path, several)[0], trained(tmp_path, one, "--multi-label")[0]]
    code, _, err = trained(tmp_path, several, "--single-label")

    folder = ModelsFolder(tmp_path / "models")
    assert codes == [0, 0]
    assert [folder.open("t", version).manifest.task for version in (1, 2)] == ["multi_label"] * 2
    assert code == 1
    assert "expected exactly one label per file, but img/79.png has 2 labels in line 80 of" in err
    assert folder.versions("t") == [1, 2]


def test_like_keeps_the_labels_of_an_older_bundle(tmp_path: Path) -> None:
    """A list of one label each was multi-label when it was made; a flag overrules what is kept."""
    data = listed(tmp_path / "data", *drawings(80))
    trained(tmp_path, data, "--multi-label")
    first = tmp_path / "models" / "t" / "1" / "manifest.json"
    content = json.loads(first.read_text())
    del content["training"]["asked"]["multi_label"], content["training"]["asked"]["single_label"]
    first.write_text(json.dumps(content))

    codes = [trained(tmp_path, data, "--like", str(first.parent), *words)[0] for words in ((), ("--single-label",))]

    folder = ModelsFolder(tmp_path / "models")
    assert codes == [0, 0]
    assert [folder.open("t", version).manifest.task for version in (2, 3)] == ["multi_label", "single_label"]


@pytest.mark.parametrize(("place", "high"), [(0, 255), (100, 254), (256, 255)])
def test_the_column_of_labels_is_found_by_its_name(tmp_path: Path, place: int, high: int) -> None:
    """T2: black and white pixels around it are no labels."""
    images, labels = drawings(80, high)
    lines = [[f"p{number}" for number in range(256)], *images.reshape(80, 256).tolist()]
    for line, label in zip(lines, ["label", *labels], strict=True):
        line.insert(place, label)
    (tmp_path / "pixels.csv").write_text("".join(",".join(map(str, line)) + "\n" for line in lines))

    code, _, err = trained(tmp_path, tmp_path / "pixels.csv")

    manifest = ModelsFolder(tmp_path / "models").open("t", 1).manifest
    assert code == 0
    assert manifest.labels == KINDS
    assert manifest.claim.accuracy.accuracy == 1.0
    assert f"labels: column {place + 1} of 257, label\n" in err


def test_a_header_without_a_label_trains_nothing(tmp_path: Path) -> None:
    """T2: the first names of the header are in the error."""
    images, labels = drawings(20)
    lines = [[f"p{number}" for number in range(257)]]
    lines += [[*map(str, image), label] for image, label in zip(images.reshape(20, 256), labels, strict=True)]
    (tmp_path / "pixels.csv").write_text("".join(",".join(line) + "\n" for line in lines))

    code, _, err = trained(tmp_path, tmp_path / "pixels.csv")

    assert code == 1
    assert "has a header (p0, p1, p2, p3, p4, ...) that does not name a column of labels" in err
    assert ModelsFolder(tmp_path / "models").versions("t") == []


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (("--size", "9999x9999"), 2, "from 1 to 4096, such as 64x48 or 64, got '9999x9999'"),
        (
            ("--size", "1040x1040", "--model", "mlp"),
            1,
            "2.1 GiB, but an ONNX file has at most 2 GiB; pass a smaller --size",
        ),
        (
            ("--size", "4096", "--model", "mlp"),
            1,
            "32.0 GiB, but an ONNX file has at most 2 GiB; pass a smaller --size",
        ),
        (("--classes", "bar,sqare"), 1, "has no class sqare; it has bar, square; did you mean square?"),
    ],
)
def test_a_mistake_in_a_setting_is_said_at_once(
    tmp_path: Path, words: tuple[str, ...], code: int, message: str
) -> None:
    """T9, T26: not after the images were decoded, nor after the fit."""
    data = listed(tmp_path / "data", *drawings(20))
    began = time.process_time()

    ended, _, err = trained(tmp_path, data, *words)

    assert ended == code
    assert message in err
    assert time.process_time() - began < 10


def test_files_that_became_equal_are_reported_as_that(tmp_path: Path) -> None:
    """T3: 16-bit files whose values end at 255 are all black; it is not a class without examples that is at fault."""
    images, labels = drawings(40)
    for row, (image, label) in enumerate(zip(images, labels, strict=True)):
        (tmp_path / "data" / label).mkdir(parents=True, exist_ok=True)
        Image.fromarray(image.astype(np.uint16)).save(tmp_path / "data" / label / f"{row}.png")

    code, _, err = trained(tmp_path, tmp_path / "data")
    with_bits, _, _ = trained(tmp_path, tmp_path / "data", "--bits", "8")

    assert (code, with_bits) == (1, 0)
    assert (
        "40 of 40 different files became 1 image through decoding (bar 20, square 20): their 16-bit samples end at 255 "
        "of 65,535 and 8 bits are kept; pass --bits 8\n"
    ) in err
    assert "grey, values 0 to 0 (the files have 16 bits, 0 to 255)\n" in err
    assert "its 20 different files became 1 image through decoding" in err.splitlines()[-1]


def test_a_folder_as_a_person_has_it_is_trained_on(tmp_path: Path) -> None:
    """T10 to T13: only train/, folders below a class, things that nobody put there and a broken file; all is said."""
    images, labels = drawings(80)
    data = tmp_path / "data"
    for row, (image, label) in enumerate(zip(images, labels, strict=True)):
        (data / "Train" / label / str(row % 3)).mkdir(parents=True, exist_ok=True)
        Image.fromarray(image.astype(np.uint8)).save(data / "Train" / label / str(row % 3) / f"{row}.png")
    (data / "__MACOSX").mkdir()
    (data / "Train" / "bar" / "Thumbs.db").touch()
    (data / "Train" / "bar" / "0" / "0.png").write_bytes(b"")

    code, out, err = trained(tmp_path, data, "--json")
    strict, _, refused = trained(tmp_path, data, "--strict")

    assert (code, strict) == (0, 1)
    assert "read 79 images and left out 1: 2 classes (bar 39, square 40)" in err
    assert "splits: Train as fit\n" in err
    assert "splits: the data has no validation split, so 20% of fit is set aside for it\n" in err
    assert "left out 2 hidden or system files (__MACOSX, Train/bar/Thumbs.db)\n" in err
    assert "warning: left out 1 image that cannot be read (Train/bar/0/0.png: " in err
    left_out = json.loads(out.splitlines()[-1])["read"]["left_out"]
    assert (left_out["images"], left_out["broken"]["count"], left_out["system"]["count"]) == (1, 1, 2)
    assert " has files that would be left out: " in refused


def test_one_class_is_not_trained_on(tmp_path: Path) -> None:
    """There is nothing to tell apart; a folder of classes below is what was meant."""
    for label in ("cat", "dog"):
        listed(tmp_path / "data" / "pets" / label, *drawings(4))

    code, _, err = trained(tmp_path, tmp_path / "data")

    assert code == 1
    assert "has only one class, pets; expected at least two classes; if cat, dog are the classes, pass" in err
