"""The cost of serving an image on this machine, for information: processor time of one thread, measured now.

It decides nothing and is not recorded: another machine or another time gives another number.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from statistics import median
from time import thread_time
from typing import Any

import numpy as np

from vouch.bundle.pixel_settings import PixelSettings
from vouch.bundle.pixels import decode
from vouch.trainer.learn.backbone.features import open_session

RUNS = 5
"""Runs of each step, of which the median is taken."""
ENOUGH_S = 0.1
"""Seconds of processor time after which no further run of a step is started."""


@dataclass(frozen=True)
class ServingCost:
    """Milliseconds of one core for one image."""

    decode_ms: float | None
    """Decoding a file to pixels; None: the images came from arrays."""
    float32_ms: float
    """In the float32 graph."""
    int8_ms: float | None
    """In the int8 graph; None: there is none."""
    int8_refused: bool = False
    """Whether int8 was tried and not accepted."""

    def sentence(self) -> str:
        """The cost as a printed line."""
        graph_ms, kind = (self.float32_ms, "float32") if self.int8_ms is None else (self.int8_ms, "int8")
        total = f"about {_said(graph_ms + (self.decode_ms or 0))} of one core of this machine"
        advice = "" if self.int8_refused else "; --quantize int8 may take less"
        other = advice if self.int8_ms is None else f" ({_said(self.float32_ms)} in float32)"
        if self.decode_ms is None:
            return f"an image takes {total} in {kind}{other}"
        return f"an image takes {total}: {_said(self.decode_ms)} to decode, {_said(graph_ms)} in {kind}{other}"

    def as_json(self) -> dict[str, Any]:
        """The cost as JSON values."""
        return {"decode_ms": self.decode_ms, "float32_ms": self.float32_ms, "int8_ms": self.int8_ms}


def serving_cost(
    graphs: Mapping[str, bytes], images: np.ndarray, files: Sequence[bytes], pixels: PixelSettings
) -> ServingCost:
    """The median cost of a single image.

    Args:
        graphs: `float32` and, if there is one, `int8`: .onnx files.
        images: uint8, shape (N, ...), at least one.
        files: PNG, JPEG or WebP files that can be decoded; empty if images come from arrays.
        pixels: how files are decoded.
    """
    decoded = _median_ms(partial(decode, file, pixels) for file in files) if files else None
    in_graph = {name: _graph_ms(graph, images) for name, graph in graphs.items()}
    return ServingCost(decoded, in_graph["float32"], in_graph.get("int8"))


def _graph_ms(graph: bytes, images: np.ndarray) -> float:
    session = open_session(graph)
    runs = [partial(session.run, ["probabilities"], {"images": images[[run % len(images)]]}) for run in range(RUNS)]
    runs[0]()  # the first run allocates memory
    return _median_ms(runs)


def _median_ms(steps: Iterable[Callable[[], object]]) -> float:
    """Median time of the steps that fit into ENOUGH_S, at least one."""
    spent: list[float] = []
    for step in steps:
        began = thread_time()
        step()
        spent.append(thread_time() - began)
        if sum(spent) > ENOUGH_S:
            break
    return 1000 * median(spent)


def _said(milliseconds: float) -> str:
    places = 0 if milliseconds >= 10 else 1 if milliseconds >= 1 else 2
    return f"{milliseconds:.{places}f} ms"
