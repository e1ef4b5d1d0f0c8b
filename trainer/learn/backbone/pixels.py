"""The first nodes of a backbone's graph: from raw pixels, as a server receives them, to the network's input."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from onnx import NodeProto, TensorProto, ValueInfoProto, helper, numpy_helper

from vouch.trainer.errors import TrainError

COLOURS = 3


@dataclass(frozen=True)
class Nodes:
    """A part of a graph: its nodes in order, and the constants that they use."""

    nodes: tuple[NodeProto, ...]
    constants: tuple[TensorProto, ...]


def images_input(image_shape: tuple[int, ...]) -> ValueInfoProto:
    """The input `images`: uint8, shape (N, H, W) or (N, H, W, C)."""
    return helper.make_tensor_value_info("images", TensorProto.UINT8, ["N", *image_shape])


def check_channels(image_shape: tuple[int, ...]) -> None:
    """Raises TrainError: the images have neither 1 nor 3 channels."""
    channels = image_shape[2] if len(image_shape) == 3 else 1
    if channels not in (1, COLOURS):
        raise TrainError(f"the images have {channels} channels; a backbone takes 1 (grey) or 3 (red, green, blue)")


def pixel_nodes(
    image_shape: tuple[int, ...], mean: Sequence[float], scale: Sequence[float], output: str, last: bool = False
) -> Nodes:
    """(`images` - mean) / scale; grey is repeated for each colour.

    Args:
        image_shape: (H, W) or (H, W, C), with C 1 or 3.
        mean: of pixels from 0 to 255: one number, or one for each of red, green and blue.
        output: name of the result: float32, shape (N, 3, H, W).
        last: whether channels are the last axis of the result: (N, H, W, 3).
    """
    nodes = [helper.make_node("Cast", ["images"], ["pixels/floats"], "pixels/Cast", to=TensorProto.FLOAT)]
    constants, grey, now = [], len(image_shape) == 2, "pixels/floats"
    axis = 3 if last else 1

    def add(operator: str, *inputs: str, **attributes: Any) -> str:
        name = f"pixels/{operator.lower()}"
        nodes.append(helper.make_node(operator, list(inputs), [name], f"pixels/{operator}", **attributes))
        return name

    if grey:
        constants.append(numpy_helper.from_array(np.array([axis]), "pixels/axis"))
        now = add("Unsqueeze", now, "pixels/axis")
    elif not last:
        now = add("Transpose", now, perm=[0, 3, 1, 2])
    if grey or image_shape[2] == 1:
        now = add("Concat", *[now] * COLOURS, axis=axis)
    shape = (1, 1, 1, -1) if last else (1, -1, 1, 1)
    for name, values in (("mean", mean), ("scale", scale)):
        constants.append(numpy_helper.from_array(np.array(values, np.float32).reshape(shape), f"pixels/{name}"))
    now = add("Sub", now, "pixels/mean")
    nodes.append(helper.make_node("Div", [now, "pixels/scale"], [output], "pixels/Div"))
    return Nodes(tuple(nodes), tuple(constants))
