"""Joins a backbone and the head that was fitted on its features into one graph."""

import onnx
from onnx import ModelProto, compose, helper, version_converter

from vouch.trainer.errors import TrainError
from vouch.trainer.learn.backbone.backbone import Backbone
from vouch.trainer.learn.backbone.origin import forget_origin

OUTPUTS = ["probabilities", "logits"]
MAX_BYTES = (2 << 30) - (1 << 20)
"""Largest ONNX file: protobuf's limit is 2 GiB, of which 1 MiB is reserved."""


def joined(backbone: Backbone, head: bytes) -> bytes:
    """The .onnx file that is served: raw pixels in, probabilities and logits out; places are removed.

    Args:
        head: an .onnx file of opset 20, from `features`, float32 (N, D), to `probabilities` and `logits`.

    Raises:
        TrainError: the two together are too large for a file.
    """
    if len(backbone.graph) + len(head) > MAX_BYTES:
        raise TrainError(
            f"the backbone and its head have {len(backbone.graph) + len(head):,} bytes together; an ONNX file has at "
            f"most {MAX_BYTES:,}: use a smaller backbone"
        )
    front, behind = onnx.load_model_from_string(backbone.graph), onnx.load_model_from_string(head)
    front = _without_places(front)
    opset = opset_of(front)
    if opset_of(behind) != opset:
        behind = version_converter.convert_version(behind, opset)
    behind = compose.add_prefix(behind, "head/", rename_inputs=False, rename_outputs=False)
    behind.ir_version = front.ir_version
    model = compose.merge_models(front, behind, io_map=[("features", "features")], outputs=OUTPUTS)
    _say_opset_once(model)
    forget_origin(model)
    onnx.checker.check_model(model, full_check=True)
    content: bytes = model.SerializeToString(deterministic=True)
    return content


def opset_of(model: ModelProto) -> int:
    """The version of ONNX's own operators."""
    return max((found.version for found in model.opset_import if found.domain in ("", "ai.onnx")), default=1)


def _say_opset_once(model: ModelProto) -> None:
    """Removes duplicates: merging states the opset twice, and the quantizer treats such a file as if it had none."""
    once = {entry.domain: entry.version for entry in model.opset_import}
    del model.opset_import[:]
    model.opset_import.extend(helper.make_opsetid(domain, version) for domain, version in once.items())


def _without_places(model: ModelProto) -> ModelProto:
    kept = [output for output in model.graph.output if output.name == "features"]
    del model.graph.output[:]
    model.graph.output.extend(kept)
    read = {"features", *(name for node in model.graph.node for name in node.input)}
    nodes = [node for node in model.graph.node if read & set(node.output)]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    return model
