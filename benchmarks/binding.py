"""How much time binding inputs and outputs would save on the CPU, compared with the session's `run` as used in serving.

    python -m benchmarks.binding            a linear model on one thread; about a minute

A binding created for every run writes to new arrays. A binding kept for its batch size needs copies of the images and
of the outputs, because callers keep their answers. Prints microseconds per run, medians of interleaved rounds.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np
import onnxruntime as ort

from benchmarks.runs import machine
from benchmarks.serving.bundles import trained

BATCHES = (1, 8, 32, 128, 256)
ROUNDS = 25
OUTPUTS = ("probabilities", "logits")
Run = Callable[[np.ndarray], list[np.ndarray]]


def ways(session: ort.InferenceSession, classes: int) -> dict[str, Run]:
    """Name -> images to outputs."""
    kept: dict[int, tuple[np.ndarray, ort.IOBinding, list[np.ndarray]]] = {}

    def bind(images: np.ndarray) -> tuple[ort.IOBinding, list[np.ndarray]]:
        binding = session.io_binding()
        binding.bind_input("images", "cpu", 0, np.uint8, images.shape, images.ctypes.data)
        outputs = [np.empty((len(images), classes), np.float32) for _ in OUTPUTS]
        for name, output in zip(OUTPUTS, outputs, strict=True):
            binding.bind_output(name, "cpu", 0, np.float32, output.shape, output.ctypes.data)
        return binding, outputs

    def bound(images: np.ndarray) -> list[np.ndarray]:
        binding, outputs = bind(images)
        session.run_with_iobinding(binding)
        return outputs

    def bound_once(images: np.ndarray) -> list[np.ndarray]:
        if len(images) not in kept:
            own = np.empty_like(images)
            kept[len(images)] = (own, *bind(own))
        own, binding, outputs = kept[len(images)]
        np.copyto(own, images)
        session.run_with_iobinding(binding)
        return [output.copy() for output in outputs]

    return {
        "run": lambda images: list(session.run(OUTPUTS, {"images": images})),
        "a binding a run": bound,
        "a binding a batch size": bound_once,
    }


def microseconds(run: Run, images: np.ndarray) -> float:
    """Of one run, over enough of them."""
    runs = max(3, 4000 // len(images))
    began = time.perf_counter()
    for _ in range(runs):
        run(images)
    return (time.perf_counter() - began) / runs * 1e6


def main() -> int:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="mnist", help="mnist, or a folder of its IDX files")
    with tempfile.TemporaryDirectory() as folder:
        bundle = trained("linear", parser.parse_args().data, Path(folder))
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        session = ort.InferenceSession(bundle.read_model(), options, providers=["CPUExecutionProvider"])
    runs = ways(session, len(bundle.manifest.labels))
    print("| | " + " | ".join(f"batch {batch}" for batch in BATCHES) + " |\n|---|" + "---|" * len(BATCHES))
    times: dict[str, list[float]] = {name: [] for name in runs}
    for batch in BATCHES:
        images = np.random.default_rng(0).integers(0, 256, (batch, *bundle.manifest.input.shape), dtype=np.uint8)
        for run in runs.values():
            np.testing.assert_allclose(run(images)[0], session.run(OUTPUTS, {"images": images})[0], atol=1e-6)
        rounds = [[microseconds(run, images) for run in runs.values()] for _ in range(ROUNDS)]
        for name, found in zip(runs, zip(*rounds, strict=True), strict=True):
            times[name].append(median(found))
    for name, row in times.items():
        print(f"| {name} | " + " | ".join(f"{value:.1f}" for value in row) + " |")
    print(f"\nMicroseconds per run, one thread; {machine()}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
