"""Time to load 60,000 images of 28 x 28 in every form that `--data` accepts, and the message for broken files.

    make loading                      writes MNIST in each form into a temporary folder and loads it, prints a table

Takes a minute or two. Without MNIST, images of noise replace it. The files were just written, so they are in the
system's cache: a slow disk adds its own time. The loaded images are compared with the written ones. The table goes to
standard output, all figures to docs/measured/loading.json.
"""

import argparse
import gzip
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.runs import keep, machine
from vouch.sources.errors import SourceError
from vouch.sources.examples import Examples
from vouch.sources.idx import header
from vouch.sources.load import load

COUNT, SIDE, CLASSES = 60_000, 28, 10
BROKEN = 5
"""Files of the folder that are cut short for the last trial."""


@dataclass(frozen=True)
class Form:
    """A form that images come in."""

    name: str
    write: Callable[[Examples, Path], Path]
    """Writes them into an empty folder; returns what `--data` is given."""
    target_s: float | None = None
    """Seconds to need at most."""


def main() -> int:
    """Runs the benchmark; returns 1 if a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="mnist", help="mnist, or a folder of its IDX files")
    parser.add_argument("--times", type=int, default=3, help="how often each form is loaded")
    arguments = parser.parse_args()
    name, examples = images_to_write(arguments.data)
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as root:
        for form in FORMS:
            folder = Path(root) / str(len(rows))
            folder.mkdir()
            path = form.write(examples, folder)
            rows.append(measure(form, path, examples, arguments.times))
        broken = said_of_broken(path)
    report(name, len(examples), rows, broken)
    return 0 if all(row["met"] for row in rows) else 1


def images_to_write(spec: str) -> tuple[str, Examples]:
    """What these images are called, and MNIST's 60,000; or as many of noise where there is no MNIST."""
    try:
        fit = load(spec).splits["fit"]
    except (SourceError, KeyError) as err:
        print(f"without MNIST, images of noise are loaded: {err}", file=sys.stderr)
    else:
        return "MNIST", fit
    random = np.random.default_rng(0)
    images = np.zeros((COUNT, SIDE, SIDE), np.uint8)
    images[:, 4:-4, 4:-4] = random.integers(0, 256, (COUNT, SIDE - 8, SIDE - 8), np.uint8)
    return "noise", Examples(images, random.integers(0, CLASSES, COUNT))


def measure(form: Form, path: Path, examples: Examples, times: int) -> dict[str, Any]:
    """Loads a form several times.

    Raises:
        SystemExit: other images came back than were written.
    """
    seconds = []
    for _ in range(times):
        started = time.perf_counter()
        source = load(str(path))
        seconds.append(round(time.perf_counter() - started, 3))
    loaded = next(iter(source.splits.values()))
    in_folders = path.is_dir() and "all" in source.splits
    expected = examples[np.argsort(examples.labels, kind="stable")] if in_folders else examples
    if not (np.array_equal(loaded.images[:], expected.images[:]) and np.array_equal(loaded.labels, expected.labels)):
        raise SystemExit(f"{form.name}: the loaded images differ from the written ones")
    needed = median(seconds)
    met = form.target_s is None or needed <= form.target_s
    return {"form": form.name, "seconds": seconds, "median_s": needed, "target_s": form.target_s, "met": met}


def said_of_broken(folder: Path) -> str:
    """The message on a folder of images in which some files were cut short."""
    paths = sorted(folder.rglob("*.png"))
    for path in paths[:: len(paths) // BROKEN][:BROKEN]:
        path.write_bytes(path.read_bytes()[:60])
    try:
        load(str(folder))
    except SourceError as err:
        return str(err).replace(str(folder), "FOLDER")
    raise SystemExit("broken files were not noticed")


def report(name: str, count: int, rows: list[dict[str, Any]], broken: str) -> None:
    """Prints the table and keeps the figures."""
    print("| form | seconds (median) | images a second | target |")
    print("|---|---|---|---|")
    for row in rows:
        target = "" if row["target_s"] is None else f"{row['target_s']:g} s: {'met' if row['met'] else 'missed'}"
        print(f"| {row['form']} | {row['median_s']:.2f} | {count / row['median_s']:,.0f} | {target} |")
    print(f"\nWith {BROKEN} truncated files: {broken}")
    print(f"\n{count:,} images of {name}; {machine()}")
    keep("loading", {"machine": machine(), "images": name, "count": count, "forms": rows, "broken": broken})


def write_idx(examples: Examples, folder: Path, *, compressed: bool) -> Path:
    """A pair of IDX files."""
    for kind, values in (("images-idx3", examples.images[:]), ("labels-idx1", examples.labels.astype(np.uint8))):
        content = header(values.shape) + values.tobytes()
        path = folder / f"train-{kind}-ubyte{'.gz' if compressed else ''}"
        path.write_bytes(gzip.compress(content, compresslevel=6) if compressed else content)
    return folder


def write_npz(examples: Examples, folder: Path, *, compressed: bool) -> Path:
    """One .npz file."""
    path = folder / "images.npz"
    save = np.savez_compressed if compressed else np.savez
    save(path, images=examples.images[:], labels=examples.labels)
    return path


def write_csv(examples: Examples, folder: Path) -> Path:
    """One .csv file: label, then pixels."""
    numbers = [str(value) for value in range(256)]
    path = folder / "images.csv"
    with path.open("w") as file:
        for label, image in zip(examples.labels.tolist(), examples.images[:], strict=True):
            file.write(f"{label},{','.join([numbers[pixel] for pixel in image.tobytes()])}\n")
    return path


def write_png(examples: Examples, folder: Path) -> Path:
    """A folder a class, a PNG file an image, named so that their order stays."""
    for label in np.unique(examples.labels).tolist():
        (folder / str(label)).mkdir()
    for row, (label, image) in enumerate(zip(examples.labels.tolist(), examples.images[:], strict=True)):
        Image.fromarray(image).save(folder / str(label) / f"{row:05}.png")
    return folder


FORMS = (
    Form("IDX", partial(write_idx, compressed=False), 1.0),
    Form("IDX, gzip", partial(write_idx, compressed=True)),
    Form(".npz", partial(write_npz, compressed=False)),
    Form(".npz, compressed", partial(write_npz, compressed=True)),
    Form(".csv", write_csv),
    Form("folder of PNG files", write_png, 30.0),
)


if __name__ == "__main__":
    sys.exit(main())
