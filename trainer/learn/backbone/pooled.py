"""Turns the output of any network into one row of features per image: a mean over places, or the class token."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from vouch.bundle.backbone import MAX_FEATURES
from vouch.trainer.errors import TrainError
from vouch.trainer.learn.backbone.pixels import Nodes


@dataclass(frozen=True)
class Pooled:
    """The last nodes of a backbone's graph."""

    part: Nodes
    """They compute `features`, and `places` if there are places."""
    features: int
    """D."""
    places: tuple[int, int] | None
    """Height and width of the grid over which the features are the mean; None without places."""
    words: str
    """A description of the features."""


def pooled(output: str, shape: tuple[int, ...], sides: Sequence[int], name: str, last: bool = False) -> Pooled:
    """The nodes after a network's output.

    Args:
        output: name of the value in the graph.
        shape: its shape in a run: (N, D), (N, D, h, w) or (N, T, D).
        sides: height and width of the images.
        name: of the file, for errors.
        last: whether channels are the last axis: (N, h, w, D).

    Raises:
        TrainError: it has another shape.
    """
    if len(shape) == 2:
        made = Pooled(_chain([("Identity", [], {})], output, "features"), shape[1], None, f"the value {output}")
    elif len(shape) == 4:
        made = _of_grid(output, shape, last)
    elif len(shape) == 3:
        made = _of_tokens(output, shape, sides)
    else:
        raise TrainError(
            f"the value {output!r} of {name} has the shape {shape}; expected one row per image (N, D), a grid "
            "(N, D, h, w), or tokens (N, T, D): choose another value with --backbone-output"
        )
    if not 1 <= made.features <= MAX_FEATURES:
        raise TrainError(f"{name} gives {made.features:,} features per image; expected 1 to {MAX_FEATURES:,}")
    return made


def _of_grid(output: str, shape: tuple[int, ...], last: bool) -> Pooled:
    steps: list[Step] = [("Transpose", [], {"perm": [0, 3, 1, 2]})] if last else [("Identity", [], {})]
    _, features, *grid = (shape[0], shape[3], shape[1], shape[2]) if last else shape
    part = _joined_parts(_chain(steps, output, "places"), _mean())
    if grid == [1, 1]:
        return Pooled(part, features, None, f"the value {output}")
    return Pooled(part, features, (grid[0], grid[1]), f"the mean of the value {output} over all places")


def _of_tokens(output: str, shape: tuple[int, ...], sides: Sequence[int]) -> Pooled:
    """With one token per place, the mean over places; with further tokens before them, the first, the class token."""
    grid = _grid(shape[1], sides)
    if grid is None:
        steps: list[Step] = [("Gather", [numpy_helper.from_array(np.array(0), "pooled/first")], {"axis": 1})]
        words = f"the first token of the value {output}, which is the class token of most such networks"
        return Pooled(_chain(steps, output, "features"), shape[2], None, words)
    steps = [
        ("Transpose", [], {"perm": [0, 2, 1]}),
        ("Reshape", [numpy_helper.from_array(np.array([0, 0, *grid]), "pooled/grid")], {}),
    ]
    part = _joined_parts(_chain(steps, output, "places"), _mean())
    return Pooled(part, shape[2], grid, f"the mean of the value {output} over all tokens, one per place")


def _grid(tokens: int, sides: Sequence[int]) -> tuple[int, int] | None:
    """Rows and columns of a grid with this many places and the image's proportions; None if there is none."""
    for rows in range(1, tokens + 1):
        columns, rest = divmod(tokens, rows)
        if not rest and tokens > 1 and rows * sides[1] == columns * sides[0]:
            return rows, columns
    return None


def _mean() -> Nodes:
    return _chain([("GlobalAveragePool", [], {}), ("Flatten", [], {})], "places", "features")


Step = tuple[str, list[TensorProto], dict[str, Any]]


def _chain(steps: Sequence[Step], first: str, last: str) -> Nodes:
    """A chain of nodes, each given by operator, further inputs as constants, and attributes."""
    nodes, constants, now = [], [], first
    for row, (operator, values, attributes) in enumerate(steps):
        after = last if row == len(steps) - 1 else f"pooled/{last}/{row}"
        inputs = [now, *(value.name for value in values)]
        nodes.append(helper.make_node(operator, inputs, [after], f"pooled/{last}/{operator}", **attributes))
        constants += values
        now = after
    return Nodes(tuple(nodes), tuple(constants))


def _joined_parts(first: Nodes, second: Nodes) -> Nodes:
    return Nodes((*first.nodes, *second.nodes), (*first.constants, *second.constants))
