"""The effect of --quantize int8: speed, size and accuracy compared with the same training in float32.

    make quantized        a cnn on MNIST, a backbone on photographs, each published in both forms; some minutes

The second training repeats the first, so that both graphs have the same weights. They run in turns; figures are
medians, with one thread of processor time. They go to docs/measured/quantized.json.
"""

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import onnxruntime as ort

from benchmarks.runs import MEASURED, cpu_flags, keep, machine, run_vouch
from vouch.bundle.opening import open_bundle

BATCHES = (1, 8, 32)
RUNS = {"cnn": 200, "backbone": 20}
"""Of a batch of each size."""
TARGETS = {"cnn": 1.5, "backbone": 2.0}
"""Times the float graph's images a second, where the processor has VNNI."""
FLAGS = ("avx2", "avx512f", "avx512_vnni", "avx_vnni", "amx_int8")


def main() -> int:
    """Runs the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="mnist", help="mnist, or a folder of its IDX files")
    parser.add_argument("--epochs", type=int, default=0, help="epochs of the cnn; 0: the recipe's number")
    parser.add_argument("--photos", type=Path, help="a folder of photographs; without it, no backbone is measured")
    parser.add_argument("--only", choices=TARGETS, help="measure only this one, and keep the other's figures")
    arguments = parser.parse_args()
    figures: dict[str, Any] = json.loads((MEASURED / "quantized.json").read_text())
    print("| model | graph | right answers | bytes | threads | batch | images a second | times float32 |")
    print("|---|---|---|---|---|---|---|---|")
    if arguments.only != "backbone":
        figures["cnn"] = measured("cnn", arguments.data, "--epochs", str(arguments.epochs), "--model", "cnn")
    if arguments.photos and arguments.only != "cnn":
        figures["backbone"] = measured("backbone", str(arguments.photos), "--preset", "backbone")
    has = ", ".join(cpu_flags(FLAGS))
    print(f"\n{machine()}; of {', '.join(FLAGS)} it has: {has}; aims with VNNI: {TARGETS}")
    keep("quantized", figures)
    return 0


def measured(name: str, data: str, *words: str) -> dict[str, Any]:
    """Trains, publishes in both forms, and measures them; prints the rows."""
    with tempfile.TemporaryDirectory() as models:
        where = ("--models", models, "--name", name)
        of_float = run_vouch("train", data, *words, *where)
        # What int8 loses is to be measured, not to be refused.
        like = ("--like", of_float["bundle"], "--quantize", "int8", "--max-drop", "100")
        of_int8 = run_vouch("train", data, *like, *where)
        bundles = {"float32": open_bundle(Path(of_float["bundle"])), "int8": open_bundle(Path(of_int8["bundle"]))}
        images = bundles["float32"].read_validation().images[: max(BATCHES)]
        graphs = {form: bundle.read_model() for form, bundle in bundles.items()}
    right = {"float32": of_float["correct"], "int8": of_int8["correct"]}
    rows: dict[str, Any] = {
        form: {"correct": right[form], "total": of_float["total"], "bytes": len(graphs[form])} for form in graphs
    }
    rows |= {"machine": machine(), "flags": cpu_flags(FLAGS), "onnxruntime": ort.__version__}
    for threads in (1, 0):
        for batch in BATCHES:
            times = run_in_turns(graphs, images[:batch], threads, RUNS[name])
            for form, graph in graphs.items():
                speed, ratio = batch / median(times[form]), median(times["float32"]) / median(times[form])
                used = "1" if threads else "all"
                counted = f"{right[form]:,} of {of_float['total']:,}"
                row = (name, form, counted, f"{len(graph):,}", used, str(batch), f"{speed:,.0f}", f"{ratio:.2f}")
                print(f"| {' | '.join(row)} |", flush=True)
                rows[form][f"threads {used}, batch {batch}"] = {"images_a_second": speed, "ratio": ratio}
    return rows


def run_in_turns(graphs: dict[str, bytes], images: np.ndarray, threads: int, rounds: int) -> dict[str, list[float]]:
    """Seconds of each run of one batch; of one thread its processor time, which others do not add to.

    Args:
        threads: of each session; 0: one a core.
    """
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    sessions = {
        name: ort.InferenceSession(graph, options, providers=["CPUExecutionProvider"]) for name, graph in graphs.items()
    }
    clock = time.thread_time if threads == 1 else time.perf_counter
    times: dict[str, list[float]] = {name: [] for name in graphs}
    for number in range(rounds + rounds // 10):
        for name, session in sessions.items():
            began = clock()
            session.run(["probabilities"], {"images": images})
            if number >= rounds // 10:  # the first ones find their memory
                times[name].append(clock() - began)
    return times


if __name__ == "__main__":
    sys.exit(main())
