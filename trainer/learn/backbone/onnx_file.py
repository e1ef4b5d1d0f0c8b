"""A backbone from a file: any ONNX network that computes features of an image, with our pixel nodes before it."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from onnx import ModelProto, TensorProto, ValueInfoProto, compose, helper

from vouch.bundle.backbone import BackboneFacts
from vouch.trainer.errors import TrainError
from vouch.trainer.learn.backbone.backbone import Backbone
from vouch.trainer.learn.backbone.features import first_line, open_session
from vouch.trainer.learn.backbone.graph import features_output, places_output
from vouch.trainer.learn.backbone.lite0 import SIZE
from vouch.trainer.learn.backbone.one_by_one import one_by_one
from vouch.trainer.learn.backbone.pixels import COLOURS, check_channels, images_input, pixel_nodes
from vouch.trainer.learn.backbone.pooled import Pooled, pooled
from vouch.trainer.learn.backbone.reading import feature_part
from vouch.trainer.learn.backbone.whole_file import read_whole
from vouch.trainer.learn.backbone.wishes import FileWishes, Taken, taken

PREFIX = "backbone/"
"""Added to all names from the file, so that they cannot clash with ours."""
TOLERANCE = 1e-3
"""Largest relative change of an image's features in another batch, which rounding can explain."""


@dataclass(frozen=True, eq=False)
class BackboneFile:
    """A file whose graph was read, but not run yet."""

    name: str
    part: ModelProto
    """The part of the graph that computes the features: one input, one output."""
    last: bool
    """Whether channels are the last axis of its input."""
    pixels: Taken
    size: tuple[int, int]
    """Height and width to which images are resized."""
    fixed: tuple[int | None, int | None]
    """Height and width that the graph requires; None if any."""
    batch: int | None
    """Batch size that the graph requires; None if any."""
    licence: str
    files: tuple[str, ...]
    """Names of its files: its own, and those of weights in the same folder."""
    sha256: str
    """Of their concatenated contents."""

    def check_sides(self, image_shape: tuple[int, ...]) -> None:
        """Raises TrainError: the file cannot use images of this height and width."""
        if any(side not in (None, given) for side, given in zip(self.fixed, image_shape, strict=False)):
            raise TrainError(
                f"the images have {image_shape[0]} x {image_shape[1]} pixels, but {self.name} takes "
                f"{self.size[0]} x {self.size[1]}: pass --size {self.size[0]}x{self.size[1]}"
            )

    def backbone(self, image_shape: tuple[int, ...]) -> Backbone:
        """The backbone for images of this shape, tested on a few random images.

        Args:
            image_shape: (H, W) or (H, W, C), C 1 or 3.

        Raises:
            TrainError: it cannot use such images, or the features of an image depend on the batch.
        """
        check_channels(image_shape)
        self.check_sides(image_shape)
        body = _with_sides(self.part, image_shape, self.last)
        try:
            return self._built(body, image_shape)
        except _NotByItself as err:
            if self.batch == 1:
                image = (*image_shape[:2], COLOURS) if self.last else (COLOURS, *image_shape[:2])
                return self._built(one_by_one(_with_sides(self.part, image_shape, self.last), image), image_shape)
            raise TrainError(
                f"{self.name} does not process the images of a batch independently ({err}): export it again in "
                "evaluation mode and with a dynamic batch axis, for example by dynamic_shapes of torch.onnx.export"
            ) from err

    def _built(self, body: ModelProto, image_shape: tuple[int, ...]) -> Backbone:
        (given,), (made,) = body.graph.input, body.graph.output
        pixels = pixel_nodes(image_shape, self.pixels.mean, self.pixels.scale, "pixels/x", self.last)
        element = given.type.tensor_type.elem_type
        body.graph.node.insert(0, helper.make_node("Cast", ["pixels/x"], [given.name], "pixels/As", to=element))
        for node in reversed(pixels.nodes):
            body.graph.node.insert(0, node)
        body.graph.initializer.extend(pixels.constants)
        floats = "pooled/floats"
        body.graph.node.append(helper.make_node("Cast", [made.name], [floats], "pooled/As", to=TensorProto.FLOAT))
        del body.graph.input[:], body.graph.output[:]
        body.graph.input.append(images_input(image_shape))

        found = _runs(_with_output(body, floats), image_shape, (2,))[0]
        ending = pooled(floats, found.shape, image_shape[:2], self.name, self.last)
        whole = _ended(body, ending)
        _check_rows(whole, image_shape)
        return Backbone(self._facts(ending), whole, ending.places is not None)

    def _facts(self, ending: Pooled) -> BackboneFacts:
        return BackboneFacts(
            name=self.name[:200],
            licence=self.licence[:1000],
            source=f"the file {' with '.join(self.files)}"[:1000],
            weights_sha256=self.sha256,
            size=self.size,
            mean=self.pixels.mean,
            scale=self.pixels.scale,
            features=ending.features,
            output=ending.words.replace("pooled/floats", self.part.graph.output[0].name)[:1000],
        )


class _NotByItself(Exception):
    """The graph does not run for every batch size, or mixes the images of a batch."""


def open_file(path: Path, wishes: FileWishes) -> BackboneFile:
    """Reads a backbone's file; nothing is run.

    Raises:
        TrainError: it is not a network that computes features of images, or a server would refuse it.
    """
    whole, name = read_whole(path), path.name
    metadata = {entry.key: entry.value for entry in whole.model.metadata_props}
    part = feature_part(whole.model, wishes.output, name)
    value, last = _image_input(part, name)
    fixed = _fixed_sides(value, last)
    size = wishes.size or _size_of(metadata, name) or (fixed[0] or SIZE[0], fixed[1] or SIZE[1])
    if any(side not in (None, wished) for side, wished in zip(fixed, size, strict=True)):
        raise TrainError(f"{name} takes only images of {fixed[0]} x {fixed[1]} pixels, not {size[0]} x {size[1]}")
    licence = wishes.licence or metadata.get("vouch.licence") or "unknown"
    batch = value.type.tensor_type.shape.dim[0].dim_value or None
    pixels = taken(wishes, metadata, name)
    return BackboneFile(name, part, last, pixels, size, fixed, batch, licence, whole.names, whole.sha256)


def _image_input(part: ModelProto, name: str) -> tuple[ValueInfoProto, bool]:
    """The only input, and whether channels are its last axis."""
    if len(part.graph.input) != 1:
        inputs = ", ".join(value.name for value in part.graph.input) or "none"
        raise TrainError(
            f"{name} needs {len(part.graph.input)} inputs for its features ({inputs}); expected only the image"
        )
    (value,) = part.graph.input
    kind = value.type.tensor_type
    sides = [dim.dim_value for dim in kind.shape.dim]
    if kind.elem_type not in (TensorProto.FLOAT, TensorProto.FLOAT16) or len(sides) != 4:
        raise TrainError(
            f"the input {value.name} of {name} has {len(sides)} axes and the type "
            f"{TensorProto.DataType.Name(kind.elem_type)}; expected FLOAT, shape (N, 3, H, W) or (N, H, W, 3)"
        )
    last = sides[1] != COLOURS and sides[3] == COLOURS
    if sides[3 if last else 1] not in (0, COLOURS):
        raise TrainError(f"the input {value.name} of {name} has {sides[1]} channels; expected 3: red, green, blue")
    return value, last


def _fixed_sides(value: ValueInfoProto, last: bool) -> tuple[int | None, int | None]:
    sides = [dim.dim_value or None for dim in value.type.tensor_type.shape.dim]
    return (sides[1], sides[2]) if last else (sides[2], sides[3])


def _size_of(metadata: dict[str, str], name: str) -> tuple[int, int] | None:
    if "vouch.size" not in metadata:
        return None
    parts = metadata["vouch.size"].lower().split("x")
    if not all(part.isascii() and part.isdigit() and 0 < int(part) <= 1 << 16 for part in parts) or len(parts) > 2:
        raise TrainError(f"{name} has the vouch.size {metadata['vouch.size'][:100]!r}; expected for example 224x192")
    return int(parts[0]), int(parts[-1])


def _with_sides(model: ModelProto, image_shape: tuple[int, ...], last: bool) -> ModelProto:
    """A copy with our prefix added to all names, a dynamic batch axis and these sides."""
    body = ModelProto()
    body.CopyFrom(model)
    body = compose.add_prefix(body, PREFIX)
    del body.graph.value_info[:]  # they state shapes for the file's own batch, which a runtime would trust
    dims = body.graph.input[0].type.tensor_type.shape.dim
    sides = (*image_shape[:2], COLOURS) if last else (COLOURS, *image_shape[:2])
    dims[0].dim_param = "N"
    for dim, side in zip(dims[1:], sides, strict=True):
        dim.dim_value = side
    return body


def _with_output(model: ModelProto, output: str) -> bytes:
    del model.graph.output[:]
    model.graph.output.append(helper.make_tensor_value_info(output, TensorProto.FLOAT, None))
    content: bytes = model.SerializeToString()
    return content


def _ended(model: ModelProto, ending: Pooled) -> bytes:
    model.graph.node.extend(ending.part.nodes)
    model.graph.initializer.extend(ending.part.constants)
    del model.graph.output[:]
    model.graph.output.append(features_output(ending.features))
    if ending.places:
        model.graph.output.append(places_output(ending.features, ending.places))
    try:
        onnx.checker.check_model(model, full_check=True)
    except Exception as err:  # the checker's exceptions, and those of its C++ code
        raise TrainError(f"the backbone's graph is not valid ONNX: {first_line(err)}") from err
    content: bytes = model.SerializeToString(deterministic=True)
    return content


def _runs(graph: bytes, image_shape: tuple[int, ...], sizes: tuple[int, ...]) -> list[np.ndarray]:
    """Its first output for batches of these sizes, made of the same random images."""
    images = np.random.default_rng(0).integers(0, 256, (max(sizes), *image_shape), dtype=np.uint8)
    session = open_session(graph)
    if fixed := [value for value in session.get_outputs() if value.shape and isinstance(value.shape[0], int)]:
        raise _NotByItself(f"for any number of images it returns the shape {fixed[0].shape}")  # a server refuses that
    (name, *_) = (value.name for value in session.get_outputs())
    try:
        found = [session.run([name], {"images": images[:size]})[0] for size in sizes]
    except Exception as err:  # ONNX Runtime's exceptions have no common base class
        raise _NotByItself(first_line(err)[:300]) from err
    for size, values in zip(sizes, found, strict=True):
        if not values.ndim or len(values) != size:
            raise _NotByItself(f"for {size} images it returns the shape {values.shape}")
    return found


def _check_rows(graph: bytes, image_shape: tuple[int, ...]) -> None:
    one, two, three = _runs(graph, image_shape, (1, 2, 3))
    if not np.isfinite(three).all():
        raise TrainError("for pixels from 0 to 255, the backbone gives features that are not finite numbers")
    for fewer in (one, two):
        if not np.allclose(fewer, three[: len(fewer)], rtol=TOLERANCE, atol=TOLERANCE * float(np.abs(three).max())):
            raise _NotByItself("an image's features change with the batch")
