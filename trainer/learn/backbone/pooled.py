"""From what a strange network gives to one row of features an image: a mean over places, or the class token."""

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
    """They make `features`, and `places` where there are any."""
    features: int
    """D."""
    places: tuple[int, int] | None
    """Height and width of the grid over which the features are a mean."""
    words: str
    """What the features are."""


def pooled(output: str, shape: tuple[int, ...], sides: Sequence[int], name: str, last: bool = False) -> Pooled:
    """
    Args:
        output: the value in the graph.
        shape: of it, as a run gave it: (N, D), (N, D, h, w) or (N, T, D).
        sides: height and width of the images.
        name: the file's, for errors.
        last: whether channels are the last axis: (N, h, w, D).

    Raises:
        TrainError: it is of another form.
    """
    if len(shape) == 2:
        made = Pooled(_chain([("Identity", [], {})], output, "features"), shape[1], None, f"the value {output}")
    elif len(shape) == 4:
        made = _of_grid(output, shape, last)
    elif len(shape) == 3:
        made = _of_tokens(output, shape, sides)
    else:
        raise TrainError(
            f"the value {output!r} of {name} has the shape {shape}; expected a row an image (N, D), a grid "
            "(N, D, h, w), or tokens (N, T, D): --backbone-output names another one"
        )
    if not 1 <= made.features <= MAX_FEATURES:
        raise TrainError(f"{name} makes {made.features:,} features of an image; expected 1 to {MAX_FEATURES:,}")
    return made


def _of_grid(output: str, shape: tuple[int, ...], last: bool) -> Pooled:
    steps: list[Step] = [("Transpose", [], {"perm": [0, 3, 1, 2]})] if last else [("Identity", [], {})]
    _, features, *grid = (shape[0], shape[3], shape[1], shape[2]) if last else shape
    part = _joined_parts(_chain(steps, output, "places"), _mean())
    if grid == [1, 1]:
        return Pooled(part, features, None, f"the value {output}")
    return Pooled(part, features, (grid[0], grid[1]), f"the mean of the value {output} over all places")


def _of_tokens(output: str, shape: tuple[int, ...], sides: Sequence[int]) -> Pooled:
    """A token a place gives a mean over places; with others before them, the first is the class token."""
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
    return Pooled(part, shape[2], grid, f"the mean of the value {output} over all tokens, one a place")


def _grid(tokens: int, sides: Sequence[int]) -> tuple[int, int] | None:
    """Rows and columns of so many places in an image of this form; None where they make no such grid."""
    for rows in range(1, tokens + 1):
        columns, rest = divmod(tokens, rows)
        if not rest and tokens > 1 and rows * sides[1] == columns * sides[0]:
            return rows, columns
    return None


def _mean() -> Nodes:
    return _chain([("GlobalAveragePool", [], {}), ("Flatten", [], {})], "places", "features")


Step = tuple[str, list[TensorProto], dict[str, Any]]


def _chain(steps: Sequence[Step], first: str, last: str) -> Nodes:
    """Nodes one behind the other: operator, further inputs as constants, attributes."""
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
