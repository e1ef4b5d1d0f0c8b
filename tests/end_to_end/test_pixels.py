"""From files to answers: shapes drawn in alpha, and files of 10 bits, trained on and asked for through a server."""

import asyncio
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.support.serving import Serving, Start, serving
from vouch.bundle.caveats import no_better_than_chance
from vouch.bundle.opening import Bundle, open_bundle
from vouch.client.client import Client
from vouch.client.labelled import find_labelled
from vouch.client.messages import Evaluation
from vouch.client.recount import recount
from vouch.server.transport.grpcio import start_grpcio
from vouch.trainer.commands import train
from vouch.trainer.reading import read_splits
from vouch.trainer.settings import TrainSettings

__all__ = ["serving"]

KINDS = ("bar", "beam", "square")
SIDE, COUNT = 12, 24


@pytest.fixture
def start() -> Start:
    return start_grpcio


@pytest.fixture(autouse=True)
def _no_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def shapes(kind: str) -> list[np.ndarray]:
    """bool, SIDE x SIDE: where the shape is; no two are the same."""
    height, width = {"bar": (8, 2), "beam": (2, 8), "square": (5, 5)}[kind]
    found = []
    for place in range(COUNT):
        shape = np.zeros((SIDE, SIDE), np.bool_)
        top, left = (SIDE - height) // 2 - 2 + place // 5, (SIDE - width) // 2 - 2 + place % 5
        shape[top : top + height, left : left + width] = True
        found.append(shape)
    return found


def drawn_in_alpha(shape: np.ndarray, seed: int) -> Image.Image:
    """A dark picture that is nothing but its alpha."""
    colours = np.random.default_rng(seed).integers(0, 60, (SIDE, SIDE, 3), dtype=np.uint8)
    return Image.fromarray(np.dstack([colours, shape.astype(np.uint8) * np.uint8(255)]))


def on_white(image: Image.Image) -> Image.Image:
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")


def write(folder: Path, way: str) -> str:
    """The shapes as files of their class: in alpha, flat on white, or grey samples of 10 bits in 16."""
    for kind in KINDS:
        (folder / kind).mkdir(parents=True)
        for row, shape in enumerate(shapes(kind)):
            path = folder / kind / f"{row}.png"
            if way == "deep":
                samples = shape * 900 + np.random.default_rng(row).integers(0, 100, shape.shape)
                Image.fromarray(samples.astype(np.uint16)).save(path)
            else:
                image = drawn_in_alpha(shape, row)
                (image if way == "alpha" else on_white(image)).save(path)
    return str(folder)


def trained(data: str, *flags: str) -> Bundle:
    words = ["--data", data, "--model", "linear", "--epochs", "40", "--models", "models", "--name", "shapes", *flags]
    assert train([*words, "--device", "cpu"]) == 0
    return open_bundle(max(Path("models/shapes").glob("[0-9]*")))


def evaluated(serving: Serving, data: str) -> Evaluation:
    with Client(serving.address) as client:
        return recount(client, "shapes", find_labelled(data, client.model("shapes")), 64, lambda done: None)


def test_one_opaque_photo_among_transparent_shapes_changes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The shapes are in alpha alone, and are learned (T4)."""
    data = write(tmp_path / "data", "alpha")
    photo = tmp_path / "data" / "beam" / "3.png"
    with Image.open(photo) as image:
        on_white(image).save(photo.with_suffix(".jpg"), quality=95)
    photo.unlink()

    bundle = trained(data)

    assert not no_better_than_chance(bundle.manifest.claim)
    assert bundle.manifest.input.channels == 3
    assert "71 of 72 images have transparent parts: filled with #ffffff" in capsys.readouterr().err
    card = (bundle.path / "README.md").read_text()
    assert "files become 12 x 12 x 3 pixels by decoding rules 4: transparent parts on #ffffff" in card


async def test_transparent_shapes_are_answered_as_flat_ones(serving: Serving, tmp_path: Path) -> None:
    """A model that was trained on shapes on white is right on the same shapes in alpha, bit for bit (T23)."""
    flat, alpha = write(tmp_path / "flat", "flat"), write(tmp_path / "alpha", "alpha")
    serving.install(await asyncio.to_thread(trained, flat))

    on_flat, on_alpha = [await asyncio.to_thread(evaluated, serving, data) for data in (flat, alpha)]
    with Client(serving.address) as client:
        either = [
            await asyncio.to_thread(
                client.predict, [(Path(data) / kind / "0.png").read_bytes() for kind in KINDS], "shapes", 0, 3
            )
            for data in (flat, alpha)
        ]

    assert on_alpha.served == on_flat.served
    assert on_flat.served.accuracy > 0.9
    assert either[0].items == either[1].items


async def test_ten_bits_are_warned_of_and_obeyed(
    serving: Serving, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The warning's remedy makes a model that is right through the server, and can be repeated (T3)."""
    data = write(tmp_path / "data", "deep")
    too_few = train(["--data", data, "--bits", "9", "--models", "models"])
    refused = capsys.readouterr().err
    read_splits(TrainSettings(data=data))
    warned = capsys.readouterr().err

    bundle = await asyncio.to_thread(trained, data, "--bits", "10", "--ground", "black")
    said = capsys.readouterr().err
    serving.install(bundle)
    served = (await asyncio.to_thread(evaluated, serving, data)).served
    again = await asyncio.to_thread(train, ["--like", str(bundle.path), "--models", "models"])

    assert (too_few, again) == (1, 0)
    assert "files of 9 bits (--bits 9) hold at most 511" in refused
    assert "of 0 to 65,535, so they become nearly black: if they hold 10 bits, pass --bits 10" in warned
    assert "--bits" not in said
    assert served.accuracy > 0.9
    assert "model.onnx is identical to that of" in capsys.readouterr().err
    repeated = open_bundle(bundle.path.parent / "2").manifest
    assert repeated.input == bundle.manifest.input
    assert (repeated.input.bits, repeated.input.ground) == (10, "#000000")
    assert [repeated.training.asked[name] for name in ("bits", "ground", "channels")] == [10, "black", 0]


def test_classes_of_different_scales_are_warned_of(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One class of 12 bits, the others of 8, all in 16-bit files (T28): the warning names them and their ranges."""
    for kind, highest in zip(KINDS, (4095, 255, 255), strict=True):
        (tmp_path / "data" / kind).mkdir(parents=True)
        for row, shape in enumerate(shapes(kind)):
            Image.fromarray((shape * highest).astype(np.uint16)).save(tmp_path / "data" / kind / f"{row}.png")

    read_splits(TrainSettings(data=str(tmp_path / "data"), bits=12))

    says = "end far apart, beam at 255 of 4,095 (16-bit), square at 255 of 4,095 (16-bit), bar at 4,095 of 4,095"
    assert says in capsys.readouterr().err
