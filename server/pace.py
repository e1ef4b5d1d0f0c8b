"""How many images a model answers sooner than a thread could be told of them: measured at warm-up, not guessed."""

import time
from collections.abc import Callable

import numpy as np

HANDING_OVER_S = 150e-6
"""About what it costs to queue a request, wake a thread and be woken by it, on the machines of today; more where other
threads want the interpreter's lock, and they do."""
MAX_BLOCKING_S = 2e-3
"""No run on the event loop may keep other callers waiting longer."""
MIN_RUNS = 5
MEASURED_S = 0.01
"""For how long each size is run at least: a machine that is busy for a moment is not so for as long."""


def at_once_images(
    run: Callable[[np.ndarray], object],
    image_shape: tuple[int, ...],
    max_batch_size: int,
    clock: Callable[[], float] = time.perf_counter,
) -> int:
    """The most images that are better run on the event loop than handed to a thread; 0: none are. It may take several
    runs to run them.

    That is one whose run costs hardly more than its share of the best batch, so that there is nothing to gain from
    waiting for others, and that does not hold up the loop.

    Args:
        run: what answers images, uint8, shape (N, *image_shape).
        clock: tells seconds.
    """
    sizes = [1 << power for power in range(max_batch_size.bit_length())]
    times = [_shortest(run, np.zeros((size, *image_shape), np.uint8), clock) for size in sizes]
    share = min(seconds / size for seconds, size in zip(times, sizes, strict=True))
    best = 0
    for place, size in enumerate(sizes):
        seconds = min(times[place:])  # fewer images take no longer: where they seem to, the machine was busy
        if seconds > MAX_BLOCKING_S or seconds - size * share > HANDING_OVER_S:
            break
        best = size
    if best == sizes[-1]:  # several of the largest runs, one after the other
        best *= max(1, int(MAX_BLOCKING_S / times[-1]))
    return best


def _shortest(run: Callable[[np.ndarray], object], images: np.ndarray, clock: Callable[[], float]) -> float:
    """Of some runs: the others were disturbed."""
    took: list[float] = []
    while len(took) < MIN_RUNS or sum(took) < MEASURED_S:
        began = clock()
        run(images)
        took.append(clock() - began)
    return min(took)
