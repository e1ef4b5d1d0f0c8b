"""How fast a model is, and so how it is best run: measured, not guessed."""

import time
from collections.abc import Callable, Sequence

import numpy as np

HANDING_OVER_S = 150e-6
"""About what it costs to queue a request, wake a thread and be woken by it, on the machines of today; more where other
threads want the interpreter's lock, and they do."""
MAX_BLOCKING_S = 2e-3
"""No run on the event loop may keep other callers waiting longer."""
MIN_RUNS = 5
MEASURED_S = 0.003
"""For how long each size is run at least: a machine that is busy for a moment is not so for as long. Ten sizes and more
are measured at every start, and in 10 ms each nothing else was found."""
COMPARED_IMAGES = 32
"""In a batch by which models are judged that take too long for larger ones to be timed."""
WORTH_THREADS_S = 1e-3
"""A model that takes longer for a batch on one thread has several. Which is faster is not timed: while a server
starts, others load on the same cores, and several threads lost."""


def inline_images(
    run: Callable[[Sequence[np.ndarray]], object],
    image_shape: tuple[int, ...],
    max_batch_size: int,
    clock: Callable[[], float] = time.perf_counter,
) -> int:
    """The most images that are better run on the event loop than handed to a thread; 0: none are. It may take several
    runs to run them.

    That is one whose run costs hardly more than its share of the best batch, so that there is nothing to gain from
    waiting for others, and that does not hold up the loop.

    Args:
        run: what answers images in parts, each uint8, shape (n, *image_shape).
        clock: tells seconds.
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
    """Whether a batch takes so long that several threads do not wait for each other most of the time, on cores that a
    transport or another program has work for.

    Args:
        run: as `inline_images`, on one thread.
        clock: tells seconds.
    """
    for size in (1, min(COMPARED_IMAGES, max_batch_size)):
        if _shortest(run, np.zeros((size, *image_shape), np.uint8), clock) > WORTH_THREADS_S:
            return True
    return False


def _shortest(run: Callable[[Sequence[np.ndarray]], object], images: np.ndarray, clock: Callable[[], float]) -> float:
    """Of some runs: the others were disturbed."""
    took: list[float] = []
    while len(took) < MIN_RUNS or sum(took) < MEASURED_S:
        began = clock()
        run((images,))
        took.append(clock() - began)
    return min(took)
