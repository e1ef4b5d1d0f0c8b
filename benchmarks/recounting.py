"""Time of a bundle's recount compared with the old way, and size of its validation split compared with raw pixels.

    python -m benchmarks.recounting models/mnist/1 models/photos/1

The old way had the decoded pixels in memory and only counted right answers.
"""

import argparse
import asyncio
import time
from contextlib import closing
from pathlib import Path

from benchmarks.runs import machine
from vouch.bundle.accuracy import counting_batch
from vouch.bundle.opening import Bundle, open_bundle
from vouch.server.lineup.lineup import RunPlan
from vouch.server.model.batcher import Limits, start_batcher
from vouch.server.model.decoding import Decoding
from vouch.server.model.loader import load
from vouch.server.model.recount import Counting, in_batches, recount
from vouch.server.settings import RuntimeSettings

THREADS = 1


def main() -> None:
    """Prints a row for each bundle."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundles", nargs="+", type=Path)
    print("| bundle | images | split, MB | raw pixels, MB | recount, s | old way, s |\n|---|---|---|---|---|---|")
    for path in parser.parse_args().bundles:
        bundle = open_bundle(path)
        new, old = asyncio.run(measure(bundle))
        manifest = bundle.manifest
        stored = manifest.files[manifest.validation_file].size
        raw = bundle.read_validation().images.nbytes
        print(f"| {bundle} | {manifest.claim.total:,} | {stored / 1e6:.1f} | {raw / 1e6:.1f} | {new:.2f} | {old:.2f} |")
    print(f"\n{machine()}, {THREADS} thread of the graph and of the decoder")


async def measure(bundle: Bundle) -> tuple[float, float]:
    """Seconds of a recount, and of the old way; reading and decoding the old way's arrays is not counted."""
    settings, count = RuntimeSettings(), counting_batch(bundle.manifest.input.shape)
    session = load(bundle, settings, RunPlan(threads=THREADS))
    batcher = start_batcher(session.run, Limits(settings.max_batch_size, count))
    counting = Counting(bundle.manifest, 0)
    began = time.perf_counter()
    with closing(Decoding(bundle.manifest.input, THREADS)) as decoding:
        async for _ in recount(batcher, in_batches(bundle, count, decoding.decode), counting):
            pass
    counting.check()
    new = time.perf_counter() - began
    validation, tally = bundle.read_validation(), bundle.manifest.new_tally()
    began = time.perf_counter()
    for start in range(0, len(validation), count):
        rows = slice(start, start + count)
        tally.add(validation.labels[rows], (await batcher.submit(validation.images[rows]))[0])
    old = time.perf_counter() - began
    await batcher.close()
    return new, old


if __name__ == "__main__":
    main()
