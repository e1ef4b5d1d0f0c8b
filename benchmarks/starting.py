"""From `vouch serve` to its first right answer, and how much of that the recount takes.

    python -m benchmarks.starting --data mnist      Both transports, one worker, linear model; under a minute

The transports take turns. Figures go to docs/measured/starting.json.
"""

import argparse
import asyncio
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from benchmarks.contenders import running, vouch
from benchmarks.questions import question
from benchmarks.runs import keep, machine
from benchmarks.serving import bare_session, trained
from vouch.bundle.accuracy import COUNTING_BATCH
from vouch.bundle.store import Bundle
from vouch.server.model.batcher import Limits, start_batcher
from vouch.server.model.loader import load
from vouch.server.model.recount import in_batches, recount
from vouch.server.settings import RuntimeSettings

TRANSPORTS = ("grpcio", "h2corn")


def main() -> int:
    """Measures, prints and keeps; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="mnist")
    parser.add_argument("--rounds", type=int, default=9)
    arguments = parser.parse_args()

    started: dict[str, list[float]] = {transport: [] for transport in TRANSPORTS}
    with tempfile.TemporaryDirectory() as folder:
        bundle = trained("linear", arguments.data, Path(folder))
        message = question(bundle, bare_session(bundle), 1).message
        for _ in range(arguments.rounds):
            for transport, seconds in started.items():
                with running(vouch(transport, 1), bundle.path, message) as server:
                    seconds.append(server.first_answer_s)
        counting = [asyncio.run(recount_s(bundle)) for _ in range(arguments.rounds)]
    print("| s | median | fastest | slowest |\n|---|---|---|---|")
    rows = {**{f"{transport}, first answer": seconds for transport, seconds in started.items()}, "recount": counting}
    for name, seconds in rows.items():
        print(f"| {name} | {median(seconds):.2f} | {min(seconds):.2f} | {max(seconds):.2f} |")
    print(f"\n{machine()}")
    keep("starting", {"machine": machine(), "seconds": rows})
    return 0


async def recount_s(bundle: Bundle) -> float:
    """Of a bundle that is loaded and warm."""
    settings = RuntimeSettings()
    session, validation = load(bundle, settings), bundle.read_validation()
    batcher = start_batcher(session.run, Limits(settings.max_batch_size, COUNTING_BATCH))
    began = time.perf_counter()
    async for _ in recount(batcher, in_batches(validation), bundle.manifest):
        pass
    seconds = time.perf_counter() - began
    await batcher.close()
    return seconds


if __name__ == "__main__":
    sys.exit(main())
