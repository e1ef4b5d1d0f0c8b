"""Removes information about the machine that made an ONNX file, which serving does not need."""

from collections.abc import Iterable

from onnx import GraphProto, ModelProto


def forget_origin(model: ModelProto) -> None:
    """Removes notes, which contain source lines and paths, also from graphs within nodes."""
    model.ClearField("metadata_props")
    waiting: list[GraphProto] = [model.graph]
    for graph in waiting:
        _forget([graph, *graph.node, *graph.value_info, *graph.input, *graph.output, *graph.initializer])
        inner = [attribute for node in graph.node for attribute in node.attribute]
        waiting += [found for attribute in inner for found in (attribute.g, *attribute.graphs) if found.node]
    for function in model.functions:
        _forget([function])


def _forget(parts: Iterable[object]) -> None:
    for part in parts:
        for field in ("metadata_props", "doc_string"):
            part.ClearField(field)  # type: ignore[attr-defined]  # each of them has both
