"""What --quantize int8 is worth: speed, size and accuracy beside the same training in float32.

    make quantized        trains the cnn once, publishes it in both forms; some minutes

The second training repeats the first, so that both graphs have the same weights. They run in turns, batches of 32
images; medians. Figures go to docs/measured/quantized.json.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import onnxruntime as ort

from benchmarks.runs import cpu_flags, keep, machine, run_vouch
from vouch.bundle.opening import open_bundle

BATCH = 32
ROUNDS = 200
TARGET = 1.5
"""Times the float graph's images a second."""
FLAGS = ("avx2", "avx512f", "avx512_vnni", "avx_vnni", "amx_int8")


def main() -> int:
    """Runs the whole."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="mnist", help="mnist, or a folder of its IDX files")
    parser.add_argument("--epochs", type=int, default=0, help="0: as the recipe has them")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as models:
        words = ["--data", arguments.data, "--epochs", str(arguments.epochs), "--models", models, "--name", "cnn"]
        of_float = run_vouch("train", *words)
        of_int8 = run_vouch("train", "--like", of_float["bundle"], "--models", models, "--quantize", "int8")
        bundles = {"float32": open_bundle(Path(of_float["bundle"])), "int8": open_bundle(Path(of_int8["bundle"]))}
        images = bundles["int8"].read_validation().images[:BATCH]
        graphs = {name: bundle.read_model() for name, bundle in bundles.items()}
    claims = {"float32": of_float["correct"], "int8": of_int8["correct"]}
    figures: dict[str, Any] = {"machine": machine(), "flags": cpu_flags(FLAGS), "onnxruntime": ort.__version__}
    print("| graph | right answers | bytes | threads | images a second | times float32 |")
    print("|---|---|---|---|---|---|")
    for threads in (1, 0):
        times = run_in_turns(graphs, images, threads)
        for name, graph in graphs.items():
            ratio = median(times["float32"]) / median(times[name])
            speed = BATCH / median(times[name])
            used = "1" if threads else "all"
            print(f"| {name} | {claims[name]:,} | {len(graph):,} | {used} | {speed:,.0f} | {ratio:.2f} |")
            row = {"correct": claims[name], "bytes": len(graph), "images_a_second": speed, "ratio": ratio}
            figures[f"{name}, threads: {used}"] = row
    print(f"\n{machine()}; of {', '.join(FLAGS)} it has: {', '.join(figures['flags'])}; aim {TARGET} times")
    keep("quantized", figures)
    return 0


def run_in_turns(graphs: dict[str, bytes], images: np.ndarray, threads: int) -> dict[str, list[float]]:
    """Seconds of each run of one batch.

    Args:
        threads: of each session; 0: one a core.
    """
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    sessions = {
        name: ort.InferenceSession(graph, options, providers=["CPUExecutionProvider"]) for name, graph in graphs.items()
    }
    times: dict[str, list[float]] = {name: [] for name in graphs}
    for number in range(ROUNDS):
        for name, session in sessions.items():
            began = time.perf_counter()
            session.run(["probabilities"], {"images": images})
            if number >= ROUNDS // 10:  # the first ones find their memory
                times[name].append(time.perf_counter() - began)
    return times


if __name__ == "__main__":
    sys.exit(main())
