"""Features of many images, by ONNX Runtime: the same bytes on one machine for any number of threads.

Each thread runs batches of its own through one session that computes with one thread, so no sum is ever split.
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
"""Of a batch. Measured with lite0: an image takes 10.3 ms of a core in a batch of 2, 11.8 in one of 16, where what the
layers give no longer stays in the cache, and 190 MB more."""
RUN_S = 600.0
"""A batch that is not done by then never is."""


def features(
    backbone: Backbone,
    images: Images,
    flipped: bool = False,
    threads: int = 1,
) -> np.ndarray:
    """What the backbone makes of each image.

    Args:
        images: uint8, shape (N, H, W) or (N, H, W, C).
        flipped: mirrored left to right first.
        threads: batches that run at once; they decide nothing.

    Returns:
        float32, shape (N, D).

    Raises:
        TrainError: a feature is not finite, or the graph does not run.
    """
    return _computed(backbone, images, "features", flipped, threads)


def places(backbone: Backbone, images: Images, threads: int = 1) -> np.ndarray:
    """What the backbone finds place by place, float32, shape (N, D, h, w): of a few images, for it is large."""
    assert backbone.has_places, "asked of a backbone that has none"
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
        raise TrainError(f"the backbone {backbone.facts.name} makes features that are not finite numbers")
    return made


def _in_turn(
    run: Callable[[np.ndarray], np.ndarray], given: Iterator[np.ndarray], threads: int
) -> Iterator[np.ndarray]:
    """The results in the order of the batches, of which no more are held than there are threads, and one."""
    with ThreadPoolExecutor(threads, "features") as pool:
        waiting: deque[Future[np.ndarray]] = deque()
        for batch in given:
            if len(waiting) > threads:
                yield waiting.popleft().result(RUN_S)
            waiting.append(pool.submit(run, batch))
        while waiting:
            yield waiting.popleft().result(RUN_S)


def open_session(graph: bytes) -> ort.InferenceSession:
    """A session that computes with one thread, on the processor.

    Raises:
        TrainError: ONNX Runtime does not load the graph.
    """
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4  # errors are raised as well; its own lines quote the graph's names as they are
    options.add_session_config_entry("session.load_model_format", "ONNX")  # what was looked at, whatever it begins with
    try:
        return ort.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    except Exception as err:  # ONNX Runtime's exceptions have no common base of their own
        raise TrainError(f"ONNX Runtime does not load the backbone's graph: {first_line(err)}") from err


def first_line(err: Exception) -> str:
    """Of what it says; its name where it says nothing."""
    return (str(err).strip() or type(err).__name__).splitlines()[0]
