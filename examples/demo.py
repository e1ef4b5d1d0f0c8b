"""The main steps in one run: train, publish, serve, predict, and recount the claim. `make demo` runs it.

The main steps are commands; the demo prints each command before running it.
"""

import select
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from vouch.bundle.opening import open_bundle
from vouch.bundle.validation import Validation
from vouch.cli.console import output
from vouch.client import CallFailed, Client, Predictions

MODELS, LINEAR = Path("models"), "digits-linear"
SHOWN = 6
TRAIN_TIMEOUT_S, START_TIMEOUT_S, END_TIMEOUT_S = 1800.0, 60.0, 60.0
SHADES = " .:-=+*#%@"
"""From white to black."""


def main() -> int:
    """Runs the demo; returns the exit code."""
    began = time.perf_counter()
    heading("1. Train a classifier on 1,797 real handwritten digits, and publish it as a bundle.")
    if train() != 0:
        return 1
    heading("   And a linear model, whose weights can be shown as pictures.")
    if train("--model", "linear", "--name", LINEAR) != 0:
        return 1
    path = newest_bundle("digits")
    bundle = open_bundle(path)
    validation = bundle.read_validation()
    labels = bundle.manifest.labels

    heading("2. Serve it. The server recounts the claim before it answers calls.")
    with serving() as address, Client(address) as client:
        wait_until_served(client, bundle.manifest.version)

        heading(f"3. Send the {len(validation)} validation images, which training did not use.")
        predictions = predict_in_batches(client, validation)
        show(validation, predictions, labels)

        heading("4. Claim and served accuracy, side by side.")
        right = [labels[label] for label in validation.labels]
        correct = sum(answer.label == label for answer, label in zip(predictions, right, strict=True))
        *_, evaluation = client.evaluate("digits")
    output().print(f"   claim, counted by the trainer       {bundle.manifest.claim.accuracy}")
    output().print(f"   served, recounted by the server     {evaluation.served}")
    output().print(f"   predicted, counted by this client   {correct:,} of {len(validation):,}")
    print_next_steps(path, time.perf_counter() - began)
    return 0 if correct == bundle.manifest.claim.correct == evaluation.served.correct else 1


def train(*more: str) -> int:
    """Runs `vouch train` as a command."""
    command = typed("train", "--data", "digits", *more, "--models", str(MODELS))
    return subprocess.run(command, check=False, timeout=TRAIN_TIMEOUT_S).returncode


def newest_bundle(name: str) -> Path:
    """The newest version of a model."""
    return max((MODELS / name).glob("[0-9]*"), key=lambda path: int(path.name))


@contextmanager
def serving() -> Iterator[str]:
    """`vouch serve` on a free port, stopped at the end; yields its address."""
    command = typed("serve", str(MODELS), "--port", "0", "--metrics-port", "0", "--json")
    server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert server.stdout is not None
    try:
        said = select.select([server.stdout], [], [], START_TIMEOUT_S)[0]
        line = server.stdout.readline() if said else ""
        if not line:
            raise SystemExit("the server did not start; `vouch serve models` shows why")
        yield line.split('"address": "')[1].split('"')[0]
    finally:
        server.terminate()
        server.wait(END_TIMEOUT_S)


def wait_until_served(client: Client, version: int) -> None:
    """Waits until the version is verified and served."""
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline:
        try:
            model = client.model("digits")
        except CallFailed:
            model = None
        if model is not None and model.live is not None and model.version == version:
            output().print(f"   digits version {version} is verified: {model.live.served}")
            return
        if model is not None and any(refused == version for refused, _ in model.refusals):
            raise SystemExit(f"the server refused version {version}: {model.refusals}")
        time.sleep(0.05)
    raise SystemExit(f"version {version} was not served within {START_TIMEOUT_S:g} s")


def predict_in_batches(client: Client, validation: Validation, batch_size: int = 64) -> Predictions:
    """Sends all images, `batch_size` per call."""
    batches = [
        client.predict(validation.images[start : start + batch_size], "digits")
        for start in range(0, len(validation), batch_size)
    ]
    items = tuple(prediction for batch in batches for prediction in batch)
    return Predictions(batches[0].model, batches[0].version, items)


def show(validation: Validation, predictions: Predictions, labels: Sequence[str]) -> None:
    """Prints a few images with their answers: right ones first, then up to two wrong ones."""
    truth = [labels[label] for label in validation.labels]
    right = [row for row, answer in enumerate(predictions) if answer.label == truth[row]]
    wrong = [row for row, answer in enumerate(predictions) if answer.label != truth[row]][:2]
    rows = [*right[: SHOWN - len(wrong)], *wrong]
    pictures = [picture(validation.images[row]) for row in rows]
    for lines in zip(*pictures, strict=True):
        output().print("   " + "    ".join(lines), markup=False)
    width = len(pictures[0][0])
    for caption in (
        [f"{predictions[row].label}, {predictions[row].probability:.0%} sure" for row in rows],
        ["right" if row in right else f"wrong: a {truth[row]}" for row in rows],
    ):
        output().print("   " + "    ".join(text.ljust(width) for text in caption), markup=False)


def picture(image: np.ndarray) -> list[str]:
    """The image as lines with two characters per pixel."""
    return ["".join(2 * SHADES[int(value) * (len(SHADES) - 1) // 255] for value in row) for row in image]


def typed(*words: str) -> list[str]:
    """Prints a vouch command as a user types it; returns the command to run."""
    output().print(f"   $ vouch {' '.join(words)}", style="cyan", markup=False)
    return [sys.executable, "-m", "vouch", *words]


def heading(text: str) -> None:
    """Prints a heading in bold, after an empty line."""
    output().print()
    output().print(text, style="bold")


def print_next_steps(path: Path, seconds: float) -> None:
    """Prints commands and addresses to try next."""
    heading(f"Done in {seconds:.0f} s. Next, with `. .venv/bin/activate` once:")
    for command, about in (
        ("vouch serve models", "serve the models, until Ctrl-C"),
        ("vouch status", "in another terminal: show what is served"),
        ("vouch evaluate --model digits", "claim and served accuracy of the running server"),
        ("vouch predict FILE.png --model digits", "classify your own images"),
        (f"vouch verify {path}", "recount the bundle without a server"),
        ("vouch train --data mnist --name mnist", "train on MNIST, 60,000 images"),
        ("vouch train --help", "options for your own images, other networks, other losses"),
    ):
        output().print(f"   {command:<40}{about}", markup=False)
    heading("Open in a browser:")
    for address, about in (
        (report(path), "how the network learned"),
        (report(newest_bundle(LINEAR)), "how the linear model learned: its weights as pictures"),
        ("http://localhost:8081", "draw a digit and see the answer, while `vouch serve models` runs"),
    ):
        output().print(f"   {about}:", markup=False)
        output().print(f"     {address}", markup=False, soft_wrap=True)


def report(bundle: Path) -> str:
    """The address of a bundle's learning report."""
    return (bundle / "report.html").resolve().as_uri()


if __name__ == "__main__":
    sys.exit(main())
