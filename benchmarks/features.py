"""Speed of computing features of many photographs for training, compared with bare ONNX Runtime on the same graph.

    python -m benchmarks.features --photos ../shared/data/insects --count 5000

Photographs are made from those in the folder by crops, flips and brightness. Their decoding is timed as in training,
then their features in parts; each part also runs in bare ONNX Runtime, with the batch size and threads that were
fastest before. `--count 600` takes a minute. The figures go to docs/measured/features.json.
"""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnxruntime as ort

from benchmarks.many_photos import make_photos
from benchmarks.runs import CODE, commit, cpu_flags, keep, machine
from vouch.bundle.pixel_settings import PixelSettings
from vouch.sources.decoding import WORTH_PROCESSES_S, Means, outcomes
from vouch.sources.examples import Examples
from vouch.trainer.learn.backbone.backbone import Backbone, lite0
from vouch.trainer.learn.frozen import Asked, Made

SIDE = 224
TRIED = 64
"""Images of a try of bare ONNX Runtime."""
BATCHES = (1, 2, 4, 8, 16, 32)
PART = 512
"""Images that both go through in turn."""
TARGET = 0.9
FLAGS = ("avx2", "avx512f", "avx512_vnni")
Way = tuple[int, int, int]
"""Runs at once, threads of a run, images of a batch."""


def main() -> int:
    """Prints the table; returns 1 if the target is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=Path, required=True, help="a folder of photographs")
    parser.add_argument("--count", type=int, default=5000, help="the number of photographs to make")
    arguments = parser.parse_args()
    cores, backbone = len(os.sched_getaffinity(0)), lite0((SIDE, SIDE, 3))
    with tempfile.TemporaryDirectory() as folder:
        made = make_photos(arguments.photos, Path(folder), arguments.count)
        images, decode_s = decoded(sorted(Path(folder).rglob("*.jpg")))
    way = best_way(backbone, images[:TRIED], cores)
    bare_s, features_s = in_turn(backbone, images, way, cores)
    rates = {
        "bare ONNX Runtime": made / bare_s,
        "features": made / features_s,
        "decoding": made / decode_s,
        "features, decoding included": made / (decode_s + features_s),
    }
    report(made, rates, way)
    return int(rates["features, decoding included"] < TARGET * rates["bare ONNX Runtime"])


def decoded(paths: list[Path]) -> tuple[np.ndarray, float]:
    """The pixels as training reads them, uint8, shape (N, H, W, 3), and the seconds that it took."""
    settings = PixelSettings.of((SIDE, SIDE, 3))
    images, began = np.empty((len(paths), *settings.shape), np.uint8), time.perf_counter()
    for row, outcome in enumerate(outcomes(paths, settings, Means(WORTH_PROCESSES_S, None))):
        if isinstance(outcome, str):
            raise SystemExit(f"{paths[row]}: {outcome}")
        images[row] = outcome[1]
    return images, time.perf_counter() - began


def best_way(backbone: Backbone, images: np.ndarray, cores: int) -> Way:
    """How bare ONNX Runtime is fastest: runs at once on one thread each, or a run on all cores."""
    ways = [(at_once, cores // at_once, batch) for at_once in {1, cores} for batch in BATCHES]
    return min(ways, key=lambda way: min(_timed(bare(backbone, way), images) for _ in range(2)))


def bare(backbone: Backbone, way: Way) -> Callable[[np.ndarray], None]:
    """What runs the graph on all images, and drops the features."""
    at_once, threads, batch = way
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    session = ort.InferenceSession(backbone.graph, options, providers=["CPUExecutionProvider"])
    session.run(["features"], {"images": np.zeros((batch, SIDE, SIDE, 3), np.uint8)})

    def run(images: np.ndarray) -> None:
        parts = [images[start : start + batch] for start in range(0, len(images), batch)]
        with ThreadPoolExecutor(at_once) as pool:
            list(pool.map(lambda part: session.run(["features"], {"images": part}), parts))

    return run


def in_turn(backbone: Backbone, images: np.ndarray, way: Way, cores: int) -> tuple[float, float]:
    """Seconds of bare ONNX Runtime, and of what training does."""
    run, made, bare_s, features_s = bare(backbone, way), Made(backbone, cores), 0.0, 0.0

    def collect(part: np.ndarray) -> None:
        asked = Asked(f"from {start}", Examples(part, np.zeros(len(part), np.int64)))
        made.collect([asked], lambda _: None)

    for start in range(0, len(images), PART):
        part = images[start : start + PART]
        bare_s += _timed(run, part)
        features_s += _timed(collect, part)
    return bare_s, features_s


def _timed(run: Callable[[np.ndarray], None], images: np.ndarray) -> float:
    began = time.perf_counter()
    run(images)
    return time.perf_counter() - began


def report(made: int, rates: dict[str, float], way: Way) -> None:
    """Prints the table and keeps the figures."""
    print("| | images/s | of bare ONNX Runtime |")
    print("|---|---|---|")
    for name, rate in rates.items():
        print(f"| {name} | {rate:,.1f} | {rate / rates['bare ONNX Runtime']:.2f} |")
    at_once, threads, batch = way
    best = f"{at_once} runs at once of {threads} threads, batches of {batch}"
    print(f"\n{made:,} photographs; bare ONNX Runtime at its best: {best}; target {TARGET:g}; {machine()}")
    figures = {"machine": machine(), "flags": cpu_flags(FLAGS), "commit": commit(CODE), "photographs": made}
    keep("features", figures | {"bare": best, "images_per_s": {name: round(rate, 1) for name, rate in rates.items()}})


if __name__ == "__main__":
    sys.exit(main())
