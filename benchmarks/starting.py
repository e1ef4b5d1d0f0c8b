"""Time from `vouch serve` to its first right answer, its processor time, and the memory of an idle server.

    python -m benchmarks.starting --data mnist                      Both transports, one worker, linear model
    python -m benchmarks.starting before=../before now=.            Compares checkouts

All take turns; under a minute each. Memory is measured one second after the first answer: the proportional set size,
which is lower if other programs share the libraries, and the resident set size. Prints Markdown; only figures of this
checkout go to docs/measured/starting.json.
"""

import argparse
import asyncio
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path
from statistics import median

from benchmarks.checkouts import checkout
from benchmarks.runs import keep, machine
from benchmarks.serving.bundles import bare_session, trained
from benchmarks.serving.contenders import Running, running
from benchmarks.serving.questions import question
from vouch.bundle.accuracy import COUNTING_BATCH
from vouch.bundle.opening import Bundle
from vouch.server.lineup.lineup import RunPlan
from vouch.server.model.batcher import Limits, start_batcher
from vouch.server.model.decoding import Decoding
from vouch.server.model.loader import load
from vouch.server.model.recount import Counting, in_batches, recount
from vouch.server.settings import RuntimeSettings

TRANSPORTS = ("grpcio", "h2corn")
IDLE_AFTER_S = 1.0
HERE = "now=."


def main() -> int:
    """Measures, prints and keeps; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkouts", nargs="*", metavar="NAME=FOLDER", default=[HERE])
    parser.add_argument("--data", default="mnist")
    parser.add_argument("--rounds", type=int, default=9)
    arguments = parser.parse_args()

    rows: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        bundle = trained("linear", arguments.data, Path(folder))
        message = question(bundle, bare_session(bundle), 1).message
        for _ in range(arguments.rounds):
            for words in arguments.checkouts:
                for transport in TRANSPORTS:
                    with running(checkout(words, transport, "1"), bundle.path, message) as server:
                        name = f"{words.partition('=')[0]}, {transport}"
                        for what, figure in started(server).items():
                            rows.setdefault(f"{name}: {what}", []).append(figure)
        rows["recount, s"] = [asyncio.run(recount_s(bundle)) for _ in range(arguments.rounds)]
    print("| | median | fewest | most |\n|---|---|---|---|")
    for name, figures in sorted(rows.items()):
        print(f"| {name} | {median(figures):.2f} | {min(figures):.2f} | {max(figures):.2f} |")
    print(f"\n{machine()}")
    if arguments.checkouts == [HERE]:
        keep("starting", {"machine": machine(), "figures": rows})
    return 0


def started(server: Running) -> dict[str, float]:
    """Figures of a server that has just answered for the first time."""
    taken = server.usage()
    time.sleep(IDLE_AFTER_S)
    supervisor, *workers = server.memory_mb("Pss:")
    _, *resident = server.memory_mb("Rss:")
    return {
        "first answer, s": server.first_answer_s,
        "until then, CPU s": taken.cpu_s,
        "supervisor, MB": supervisor,
        "worker, MB": max(workers),
        "worker, resident MB": max(resident),
    }


async def recount_s(bundle: Bundle) -> float:
    """Of a bundle that is loaded and warm."""
    settings = RuntimeSettings()
    session = load(bundle, settings, RunPlan(threads=1))
    batcher = start_batcher(session.run, Limits(settings.max_batch_size, COUNTING_BATCH))
    began = time.perf_counter()
    with closing(Decoding(bundle.manifest.input, 1)) as decoding:
        async for _ in recount(
            batcher, in_batches(bundle, COUNTING_BATCH, decoding.decode), Counting(bundle.manifest, 0)
        ):
            pass
    seconds = time.perf_counter() - began
    await batcher.close()
    return seconds


if __name__ == "__main__":
    sys.exit(main())
