"""Features of many images, by ONNX Runtime: identical on one machine for any number of threads.

All threads use one session, each with its own batches. The session computes with one thread, so sums are never split.
"""

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from math import prod

import numpy as np
import onnxruntime as ort

from vouch.sources.images import Images, batches
from vouch.trainer.errors import TrainError
from vouch.trainer.learn.backbone.backbone import Backbone

BATCH_PIXELS = 2 * 224 * 224
"""Pixels per batch. Measured with lite0: an image takes 10.3 ms of a core in a batch of 2, and 11.8 ms in one of 16,
whose layer outputs no longer fit into the cache and need 190 MB more."""
RUN_S = 600.0
"""Time limit for a batch, in seconds."""


def features(
    backbone: Backbone,
    images: Images,
    flipped: bool = False,
    threads: int = 1,
) -> np.ndarray:
    """The features of each image.

    Args:
        images: uint8, shape (N, H, W) or (N, H, W, C).
        flipped: whether images are mirrored left to right first.
        threads: batches that run at the same time; this does not affect the result.

    Returns:
        float32, shape (N, D).

    Raises:
        TrainError: a feature is not finite, or the graph does not run.
    """
    return _computed(backbone, images, "features", flipped, threads)


def places(backbone: Backbone, images: Images, threads: int = 1) -> np.ndarray:
    """The features at each place, float32, shape (N, D, h, w); only for a few images, because it is large."""
    assert backbone.has_places, "this backbone has no places"
    return _computed(backbone, images, "places", False, threads)


def _computed(backbone: Backbone, images: Images, output: str, flipped: bool, threads: int) -> np.ndarray:
    session = open_session(backbone.graph)
    (shape,) = (found.shape[1:] for found in session.get_outputs() if found.name == output)
    made, done = np.empty((len(images), *shape), np.float32), 0

    def run(batch: np.ndarray) -> np.ndarray:
        pixels = np.ascontiguousarray(batch[:, :, ::-1]) if flipped else batch
        result: np.ndarray = session.run([output], {"images": pixels})[0]
        return result

    most = max(1, BATCH_PIXELS // prod(images.shape[1:3]))
    for part in _in_turn(run, batches(images, most=most), threads):
        made[done : (done := done + len(part))] = part
    if not np.isfinite(made).all():
        raise TrainError(f"the backbone {backbone.facts.name} gives features that are not finite numbers")
    return made


def _in_turn(
    run: Callable[[np.ndarray], np.ndarray], given: Iterator[np.ndarray], threads: int
) -> Iterator[np.ndarray]:
    """The results in the order of the batches; at most one batch more than threads is in memory."""
    with ThreadPoolExecutor(threads, "features") as pool:
        waiting: deque[Future[np.ndarray]] = deque()
        for batch in given:
            if len(waiting) > threads:
                yield waiting.popleft().result(RUN_S)
            waiting.append(pool.submit(run, batch))
        while waiting:
            yield waiting.popleft().result(RUN_S)


def open_session(graph: bytes) -> ort.InferenceSession:
    """A session that computes with one thread, on the CPU.

    Raises:
        TrainError: ONNX Runtime cannot load the graph.
    """
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4  # errors are raised anyway; the log would print the graph's names unescaped
    options.add_session_config_entry("session.load_model_format", "ONNX")  # never guess the format, which was checked
    try:
        return ort.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    except Exception as err:  # ONNX Runtime's exceptions have no common base class
        raise TrainError(f"ONNX Runtime cannot load the backbone's graph: {first_line(err)}") from err


def first_line(err: Exception) -> str:
    """The first line of an error's message; its type's name if there is no message."""
    return (str(err).strip() or type(err).__name__).splitlines()[0]
