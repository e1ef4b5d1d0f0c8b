"""Reduces a backbone's graph to the part that computes features; nothing is run here."""

from collections.abc import Iterator, Sequence

from onnx import GraphProto, ModelProto, NodeProto, ValueInfoProto, inliner, version_converter

from vouch.bundle.errors import InvalidBundle
from vouch.bundle.graph import check_graph
from vouch.trainer.errors import TrainError
from vouch.trainer.learn.backbone.graph import IR_VERSION, OPSET
from vouch.trainer.learn.backbone.joined import opset_of
from vouch.trainer.learn.backbone.origin import forget_origin

POOLED = ("features", "pooler_output", "image_embeds", "image_features", "embeddings", "embedding")
"""Common names of the output with one row per image, the most common first."""


def feature_part(model: ModelProto, output: str | None, name: str) -> ModelProto:
    """The part of the graph that computes features: with one output, of opset 20 or later, checked as by a server.

    Args:
        model: changed in place.
        output: the value with the features; None chooses among the graph's outputs.
        name: of the file, for errors.

    Raises:
        TrainError: it has no such value, or operators or data that a server would refuse.
    """
    if model.functions:
        model = inliner.inline_local_functions(model)
    forget_origin(model)
    given = {constant.name for constant in model.graph.initializer}
    kept_inputs = [value for value in model.graph.input if value.name not in given]
    _replace(model.graph.input, kept_inputs)
    keep_only(model.graph, output or _chosen(model.graph.output, name), name)
    used = {node.domain for node in _all_nodes(model.graph)}
    _replace(model.opset_import, [each for each in model.opset_import if each.domain in used | {"", "ai.onnx"}])
    try:
        check_graph(model.SerializeToString(), name=name)
    except InvalidBundle as err:
        raise TrainError(f"{err}; a server would refuse this graph, so no head is fitted on it") from err
    return _of_opset(model, name)


def keep_only(graph: GraphProto, output: str, name: str) -> None:
    """Removes everything that this value does not depend on, and makes it the only output.

    Raises:
        TrainError: the graph has no such value.
    """
    if not any(output in node.output for node in graph.node):
        outputs = ", ".join(value.name for value in list(graph.output)[:20])
        raise TrainError(f"{name} has no value named {output!r}; its outputs are {outputs}")
    needed, nodes = {output}, []
    for node in reversed(graph.node):
        if needed & set(node.output):
            nodes.append(node)
            needed |= set(_read_by(node))
    declared = [value for value in graph.output if value.name == output]
    _replace(graph.node, nodes[::-1])
    _replace(graph.initializer, [constant for constant in graph.initializer if constant.name in needed])
    _replace(graph.input, [value for value in graph.input if value.name in needed])
    _replace(graph.output, declared or [ValueInfoProto(name=output)])
    del graph.value_info[:]


def _chosen(outputs: Sequence[ValueInfoProto], name: str) -> str:
    """The output with one row per image."""
    if len(outputs) == 1:
        return outputs[0].name
    by_name = {value.name: value for value in outputs}
    for usual in POOLED:
        if usual in by_name:
            return usual
    rows = [value.name for value in outputs if len(value.type.tensor_type.shape.dim) == 2]
    if len(rows) == 1:
        return rows[0]
    if not by_name:
        raise TrainError(f"{name} has no outputs, so it is not a usable network; export it again")
    raise TrainError(
        f"{name} has the outputs {', '.join(by_name)}; which of them has the features? Pass --backbone-output NAME"
    )


def _of_opset(model: ModelProto, name: str) -> ModelProto:
    model.ir_version = max(model.ir_version, IR_VERSION)
    if opset_of(model) >= OPSET:
        return model
    try:
        return version_converter.convert_version(model, OPSET)
    except Exception as err:  # RuntimeError, ValueError, and those of its C++ code
        raise TrainError(
            f"{name} has opset {opset_of(model)} and cannot be converted to {OPSET} "
            f"({str(err).strip().splitlines()[0] if str(err).strip() else type(err).__name__}); export it again with "
            f"opset_version={OPSET}"
        ) from err


def _read_by(node: NodeProto) -> Iterator[str]:
    """Names that a node reads, including those that graphs within it read from outside."""
    yield from node.input
    for attribute in node.attribute:
        for graph in (attribute.g, *attribute.graphs):
            for inner in graph.node:
                yield from _read_by(inner)
            yield from (value.name for value in graph.output)


def _all_nodes(graph: GraphProto) -> Iterator[NodeProto]:
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs):
                yield from _all_nodes(inner)


def _replace(field: object, values: Sequence[object]) -> None:
    kept = list(values)
    del field[:]  # type: ignore[attr-defined]  # a repeated field of protobuf
    field.extend(kept)  # type: ignore[attr-defined]
