"""The examples of docs/how-to/call.md call a real server, each in its language where that is installed."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from tests.support.programs import OURS, serving_beside, until
from tests.support.tiny import publish_tiny, tiny_images, tiny_probabilities
from vouch.bundle.store import ModelsFolder
from vouch.client.client import Client

ROOT = Path(__file__).resolve().parents[2]
CALLS = ROOT / "examples" / "call"
EXAMPLES = {
    "predict.py": (sys.executable,),
    "predict.sh": ("sh",),
    "predict.mjs": ("node",),
    "predict.go": ("go", "run"),
    "predict_triton.py": (sys.executable,),
}
"""File -> what runs it."""
NEEDS = {
    "predict.sh": ("curl", "apt install curl"),
    "predict.mjs": ("node", "apt install nodejs, version 18 or newer"),
    "predict.go": ("go", "apt install golang-go"),
}
"""File -> the program that must be there, and how it gets there."""
WITHIN_S = 90
"""For an example: `go run` compiles first."""


@pytest.fixture(scope="module")
def called(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path, str]]:
    """A server's address, an image, and what an example has to say about it."""
    folder = tmp_path_factory.mktemp("examples")
    publish_tiny(ModelsFolder(folder / "models"))
    images, _ = tiny_images(1)
    Image.fromarray(images[0]).save(folder / "image.png")
    probabilities = tiny_probabilities(images)[0]
    with serving_beside(folder / "models") as (place, _), Client(place["address"]) as client:
        until(client.ready)
        best = client.predict(images)[0]
        assert best.probability == pytest.approx(float(probabilities.max()), abs=1e-6)
        yield place["address"], folder / "image.png", f"{best.label} {best.probability:.3f}"


def test_every_example_is_run() -> None:
    """A new file in the folder is in the table."""
    assert {path.name for path in CALLS.iterdir() if path.is_file()} == set(EXAMPLES)


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_gets_the_right_answer(called: tuple[str, Path, str], name: str) -> None:
    """The label, and its probability with three digits; curl shows the whole answer."""
    if name in NEEDS and shutil.which(NEEDS[name][0]) is None:
        pytest.skip(f"{NEEDS[name][0]} is not installed: {NEEDS[name][1]}")
    address, image, expected = called
    command = [*EXAMPLES[name], str(CALLS / name), address, "tiny", str(image)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=WITHIN_S, env=OURS)

    assert done.returncode == 0, done.stderr
    told = done.stdout
    if name == "predict.sh":
        best = json.loads(told)["predictions"][0]["labels"][0]
        told = f"{best['label']} {best['probability']:.3f}\n"
    assert told == f"{expected}\n"
