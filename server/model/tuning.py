"""Measures how fast a model is, and so how it is best run."""

import time
from collections.abc import Callable, Sequence

import numpy as np

HANDING_OVER_S = 150e-6
"""Approximate cost of queuing a request, waking a thread and being woken by it on today's machines; more while other
threads want the interpreter lock."""
MAX_BLOCKING_S = 2e-3
"""The longest run allowed on the event loop, because other callers wait meanwhile."""
MIN_RUNS = 5
MEASURED_S = 0.003
"""Minimum time for which each size is run, longer than a short disturbance. Ten and more sizes are measured at every
start; 10 ms for each gave the same results."""
COMPARED_IMAGES = 32
"""Batch size for models that are too slow to time larger batches."""
WORTH_THREADS_S = 1e-3
"""A model that takes longer for a batch on one thread gets several. Which is faster is not measured: while a server
starts, others load on the same cores, which makes several threads look slower than they are."""


def inline_images(
    run: Callable[[Sequence[np.ndarray]], object],
    image_shape: tuple[int, ...],
    max_batch_size: int,
    clock: Callable[[], float] = time.perf_counter,
) -> int:
    """The most images that are better run on the event loop than in a thread; 0: none. They may take several runs.

    Such a run costs hardly more than its share of the best batch, so that waiting for others gains nothing, and it does
    not block the loop for long.

    Args:
        run: the model; takes images in parts, each uint8, shape (n, *image_shape).
        clock: returns seconds.
    """
    sizes = [1 << power for power in range(max_batch_size.bit_length())]
    times: list[float] = []
    for size in sizes:
        times.append(_shortest(run, np.zeros((size, *image_shape), np.uint8), clock))
        if len(times) > 1 and min(times[-2:]) > MAX_BLOCKING_S:  # one size may have been disturbed throughout
            break
    shares = [seconds / size for seconds, size in zip(times, sizes, strict=False)]
    if len(times) < min(len(sizes), COMPARED_IMAGES.bit_length()) and min(times) <= MAX_BLOCKING_S:
        images = np.zeros((min(COMPARED_IMAGES, max_batch_size), *image_shape), np.uint8)
        shares.append(_shortest(run, images, clock) / len(images))
    best = 0
    for place, size in enumerate(sizes[: len(times)]):
        shortest = min(times[place:])  # fewer images take no longer: the machine may have been busy
        if shortest > MAX_BLOCKING_S or shortest - size * min(shares) > HANDING_OVER_S:
            break
        best = size
    if best == sizes[-1]:  # several of the largest runs, one after the other
        best *= max(1, int(MAX_BLOCKING_S / times[-1]))
    return best


def is_worth_threads(
    run: Callable[[Sequence[np.ndarray]], object],
    image_shape: tuple[int, ...],
    max_batch_size: int,
    clock: Callable[[], float] = time.perf_counter,
) -> bool:
    """Whether a batch takes long enough for several threads: for short runs they mostly wait for each other, on cores
    that the transport and other programs use too.

    Args:
        run: as `inline_images`, on one thread.
        clock: returns seconds.
    """
    for size in (1, min(COMPARED_IMAGES, max_batch_size)):
        if _shortest(run, np.zeros((size, *image_shape), np.uint8), clock) > WORTH_THREADS_S:
            return True
    return False


def _shortest(run: Callable[[Sequence[np.ndarray]], object], images: np.ndarray, clock: Callable[[], float]) -> float:
    """The shortest of some runs: the others were disturbed."""
    took: list[float] = []
    while len(took) < MIN_RUNS or sum(took) < MEASURED_S:
        began = clock()
        run((images,))
        took.append(clock() - began)
    return min(took)
