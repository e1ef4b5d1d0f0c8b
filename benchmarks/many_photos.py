"""A training on more photographs than fit into its memory limit: peak memory and time, phase by phase.

    make many-photos         20,000 photographs made of the insects by crops, flips and brightness, --memory 1G

Their pixels take more than 2 GiB at 192 x 192. Memory is the proportional set size of the command and of all its
processes, ten times per second, without the system's file cache. The table goes to standard output, all figures to
docs/measured/many_photos.json.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.runs import RUN_WITHIN_S, keep, machine
from benchmarks.serving.processes import family, process_memory_mb

SIDE = 320
"""Of the longer side of a photograph that is made, in pixels."""
SUFFIXES = (".jpg", ".jpeg", ".png")
TARGET_MB = 2048
EVERY_S = 0.1
PHASES = {
    "read [0-9,]+ images": "decoding",
    "splits: [0-9]": "digests and near duplicates",
    "fitted in [0-9.]+ s": "fitting",
    "the images are unchanged": "digests again",
    "(no )?temperature ": "export, calibration, claim",
}
"""How a line begins that ends a phase."""


@dataclass
class Watched:
    """What a command took, while it ran."""

    pid: int
    peak_mb: float = 0.0
    largest_mb: float = 0.0
    """Of the largest process alone."""
    peaks: list[float] = field(default_factory=list)
    """Since the phase began."""
    ended: threading.Event = field(default_factory=threading.Event)

    def watch(self) -> None:
        """Until the command has ended."""
        while not self.ended.wait(EVERY_S):
            now = [process_memory_mb(pid, "Pss:") for pid in family(self.pid)]
            self.peaks.append(sum(now))
            self.peak_mb, self.largest_mb = max(self.peak_mb, sum(now)), max(self.largest_mb, *now)


def main() -> int:
    """Runs the benchmark; returns 1 if the target is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=Path, required=True, help="a folder of class folders, with or without splits")
    parser.add_argument("--count", type=int, default=20_000, help="the number of photographs to make")
    parser.add_argument("--memory", default="1G", help="the limit for vouch train")
    parser.add_argument("options", nargs="*", default=None, help="more options for vouch train, after --")
    arguments = parser.parse_args()
    options = arguments.options or ["--size", "192", "--epochs", "1", "--batch-size", "32"]
    with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR", "/var/tmp")) as root:  # noqa: S108 - a disk
        began = time.monotonic()
        made = make_photos(arguments.photos, Path(root) / "photos", arguments.count)
        print(f"made {made:,} photographs in {time.monotonic() - began:.0f} s", file=sys.stderr)
        words = [str(Path(root) / "photos"), "--memory", arguments.memory, *options]
        phases, watched = train([*words, "--models", f"{root}/models", "--name", "many"])
    report(made, ["--memory", arguments.memory, *options], phases, watched)
    return int(watched.peak_mb > TARGET_MB)


def make_photos(source: Path, target: Path, count: int) -> int:
    """Writes so many JPEG files into the same folders as the photographs that they are made of.

    Returns:
        how many there are.
    """
    originals = sorted(path for path in source.rglob("*") if path.suffix.lower() in SUFFIXES)
    tasks = [(originals[number % len(originals)], number) for number in range(count)]
    for path in originals:
        (target / path.relative_to(source)).parent.mkdir(parents=True, exist_ok=True)
    with ProcessPoolExecutor() as pool:
        return sum(pool.map(partial(make_photo, source, target), tasks, chunksize=64))


def make_photo(source: Path, target: Path, task: tuple[Path, int]) -> int:
    """One photograph: a crop of another, perhaps mirrored, brighter or darker."""
    path, number = task
    random = np.random.default_rng(number)
    with Image.open(path) as opened:
        picture = opened.convert("RGB")
    share = random.uniform(0.5, 0.95, 2)
    width, height = (max(1, round(side * part)) for side, part in zip(picture.size, share, strict=True))
    left, top = (
        int(random.integers(0, side - part + 1)) for side, part in zip(picture.size, (width, height), strict=True)
    )
    picture = picture.crop((left, top, left + width, top + height))
    picture.thumbnail((SIDE, SIDE))
    if random.random() < 0.5:
        picture = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    brightness = random.uniform(0.6, 1.4)
    picture = picture.point([min(255, round(value * brightness)) for value in range(256)] * 3)
    picture.save((target / path.relative_to(source)).with_name(f"{number:06}.jpg"), quality=88)
    return 1


def train(words: list[str]) -> tuple[list[tuple[str, float, float]], Watched]:
    """Runs `vouch train`.

    Returns:
        each phase with its seconds and the most memory in it, in 2^20 bytes; and what was watched.

    Raises:
        SystemExit: the training failed.
    """
    command = [sys.executable, "-m", "vouch", "train", *words]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    watched = Watched(process.pid)
    thread = threading.Thread(target=watched.watch)
    thread.start()
    try:
        assert process.stdout is not None
        phases = list(_phases(process.stdout, watched))
        if process.wait(RUN_WITHIN_S):
            raise SystemExit(f"vouch train ended with {process.returncode}")
    finally:
        process.kill()
        watched.ended.set()
        thread.join(10)
    return phases, watched


def _phases(lines: Iterator[str], watched: Watched) -> Iterator[tuple[str, float, float]]:
    """A phase ends with the line that tells of it."""
    began, waiting = time.monotonic(), dict(PHASES)

    def ended(name: str) -> tuple[str, float, float]:
        nonlocal began
        seconds, peak = time.monotonic() - began, max(watched.peaks, default=0.0)
        began, watched.peaks = time.monotonic(), []
        return name, seconds, peak

    for line in lines:
        print(line, end="", file=sys.stderr)
        if start := next((start for start in waiting if re.match(start, line)), None):
            yield ended(waiting.pop(start))
    yield ended("report and bundle")


def report(made: int, words: list[str], phases: list[tuple[str, float, float]], watched: Watched) -> None:
    """Prints the table and keeps the figures."""
    print("| phase | seconds | most memory, MiB |")
    print("|---|---|---|")
    for name, seconds, peak in phases:
        print(f"| {name} | {seconds:,.0f} | {peak:,.0f} |")
    seconds, met = sum(seconds for _, seconds, _ in phases), watched.peak_mb <= TARGET_MB
    print(f"| all | {seconds:,.0f} | {watched.peak_mb:,.0f}, target {TARGET_MB:,}: {'met' if met else 'missed'} |")
    print(f"\n{made:,} photographs, vouch train {' '.join(words)}; {machine()}")
    figures = {
        "machine": machine(),
        "photographs": made,
        "options": words,
        "phases": [{"name": name, "seconds": round(s, 1), "peak_mb": round(peak)} for name, s, peak in phases],
        "seconds": round(seconds, 1),
        "peak_mb": round(watched.peak_mb),
        "largest_process_mb": round(watched.largest_mb),
        "target_mb": TARGET_MB,
        "met": met,
    }
    keep("many_photos", figures)


if __name__ == "__main__":
    sys.exit(main())
