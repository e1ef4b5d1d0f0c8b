"""Bare ONNX Runtime on a model at each level of graph optimisation, in turns, on one thread.

    python -m benchmarks.graph --data mnist

About two minutes. The server uses ONNX Runtime's default, `all`. Prints Markdown; figures go to
docs/measured/graph.json.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import numpy as np
import onnxruntime as ort

from benchmarks.runs import CODE, commit, cpu_flags, keep, machine
from benchmarks.serving.bundles import of_photos, trained
from benchmarks.training.running import FLAGS
from vouch.bundle.opening import Bundle

LEVELS = {
    "disabled": ort.GraphOptimizationLevel.ORT_DISABLE_ALL,
    "basic": ort.GraphOptimizationLevel.ORT_ENABLE_BASIC,
    "extended": ort.GraphOptimizationLevel.ORT_ENABLE_EXTENDED,
    "all": ort.GraphOptimizationLevel.ORT_ENABLE_ALL,
}
SIZES = {"linear": (1, 32, 256), "cnn": (1, 32, 128), "photographs": (1, 8)}
"""Kind of model -> images of a run."""
TURNS, TURN_S = 9, 0.2


def main() -> int:
    """Measures, prints and keeps; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="mnist")
    parser.add_argument("--photos", type=Path, help="a folder of class folders; without it, that model is left out")
    parser.add_argument("--models", type=Path, help="a folder to keep the trained models for the next run")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        models = arguments.models or Path(folder)
        bundles = {kind: trained(kind, arguments.data, models) for kind in ("linear", "cnn")}
        if arguments.photos:
            bundles["photographs"] = of_photos(arguments.photos, models)
        figures = {kind: of_levels(bundle, SIZES[kind]) for kind, bundle in bundles.items()}
    print(f"| microseconds an image | {' | '.join(LEVELS)} |\n|---|{'---|' * len(LEVELS)}")
    for kind, of_sizes in figures.items():
        for size, of_level in of_sizes.items():
            print(f"| {kind}, {size} a run | {' | '.join(f'{of_level[level]:,.1f}' for level in LEVELS)} |")
    where = {"machine": machine(), "flags": cpu_flags(FLAGS), "onnxruntime": ort.__version__, "commit": commit(CODE)}
    keep("graph", {**where, "us_an_image": figures})
    return 0


def of_levels(bundle: Bundle, sizes: tuple[int, ...]) -> dict[int, dict[str, float]]:
    """Images of a run -> level -> microseconds an image, medians of the turns."""
    model = bundle.read_model()
    sessions = {name: opened(model, level) for name, level in LEVELS.items()}
    found: dict[int, dict[str, float]] = {}
    for size in sizes:
        images = np.random.default_rng(0).integers(0, 256, (size, *bundle.manifest.input.shape), np.uint8)
        taken: dict[str, list[float]] = {name: [] for name in LEVELS}
        for turn in range(TURNS):
            for name in list(LEVELS)[:: -1 if turn % 2 else 1]:
                taken[name].append(seconds_a_run(sessions[name], images))
        found[size] = {name: round(median(times) / size * 1e6, 2) for name, times in taken.items()}
    return found


def opened(model: bytes, level: ort.GraphOptimizationLevel) -> ort.InferenceSession:
    """On one thread."""
    options = ort.SessionOptions()
    options.intra_op_num_threads, options.graph_optimization_level, options.log_severity_level = 1, level, 4
    return ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def seconds_a_run(session: ort.InferenceSession, images: np.ndarray) -> float:
    """On average over a turn."""
    runs, began = 0, time.perf_counter()
    while (now := time.perf_counter()) < began + TURN_S or not runs:
        session.run(None, {"images": images})
        runs += 1
    return (now - began) / runs


if __name__ == "__main__":
    sys.exit(main())
