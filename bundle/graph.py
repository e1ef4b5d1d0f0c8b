"""What a model file asks of a runtime, read from the file itself before a runtime opens it.

Two things are looked for, in graphs within nodes and in functions too: operators of domains other than ONNX's, whose
code is less tried, and data outside the file, which could be any file of the machine. Weights are passed over, so a
large model takes no longer than its number of nodes does. The fields are those of
https://github.com/onnx/onnx/blob/main/onnx/onnx.proto.
"""

from collections.abc import Collection, Mapping
from typing import NamedTuple

from vouch.bundle.errors import InvalidBundle
from vouch.bundle.wire_format import BYTES, FIXED, VARINT, read_varint

OWN_DOMAINS = frozenset({"", "ai.onnx", "ai.onnx.ml"})
"""Operators that the ONNX standard describes and that compute; `ai.onnx` is another name of the empty one."""
MAX_FIELDS = 20_000_000
"""Of a million nodes; they take about 20 s. Weights that are not packed have a field each."""
MAX_DEPTH = 100
"""Of messages in messages, as protobuf itself has it."""


class Kind(NamedTuple):
    """Which fields of a kind of message are looked at, by their numbers."""

    parts: Mapping[int, str] = {}
    """Messages, by the name of their kind."""
    domains: tuple[int, ...] = ()
    """Names of operator domains."""
    outside: tuple[int, ...] = ()
    """What is there, and not 0, where data lies outside the file."""


KINDS = {
    "model": Kind({7: "graph", 8: "operator set", 20: "training", 25: "function"}),
    "graph": Kind({1: "node", 5: "tensor", 15: "sparse tensor"}),
    "node": Kind({5: "attribute"}, domains=(7,)),
    "attribute": Kind({5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse tensor", 23: "sparse tensor"}),
    "tensor": Kind(outside=(13, 14)),
    "sparse tensor": Kind({1: "tensor", 2: "tensor"}),
    "function": Kind({7: "node", 9: "operator set", 11: "attribute"}, domains=(10,)),
    "operator set": Kind(domains=(1,)),
    "training": Kind({1: "graph", 2: "graph"}),
}


def check_graph(model: bytes, allowed_domains: Collection[str] = (), name: str = "model.onnx") -> None:
    """
    Args:
        model: the .onnx file's content.
        allowed_domains: of operators, beside ONNX's own.
        name: what the file is called in an error.

    Raises:
        InvalidBundle: it has operators of other domains or data outside the file, or is no ONNX file.
    """
    allowed = {domain.encode() for domain in OWN_DOMAINS | set(allowed_domains)}
    left, waiting = MAX_FIELDS, [(0, len(model), "model", 0)]
    while waiting:
        at, stop, part, depth = waiting.pop()
        kind = KINDS[part]
        while at < stop:
            left -= 1
            number, wire, value, at = _field(model, at, stop, name)
            if not left or depth > MAX_DEPTH:
                raise InvalidBundle(f"{name} has more than {MAX_FIELDS:,} parts, or {MAX_DEPTH} within each other")
            if number in kind.outside and (wire == BYTES or value):
                raise InvalidBundle(f"{name} has data outside the file; a bundle's model is one file")
            if wire != BYTES:
                continue
            if number in kind.parts and value:
                waiting.append((at - value, at, kind.parts[number], depth + 1))
            elif number in kind.domains and (domain := model[at - value : at]) not in allowed:
                raise InvalidBundle(
                    f"{name} has operators of the domain {domain[:100].decode(errors='replace')!r}; only those of "
                    "ONNX are run, and of domains that --allow-domain names"
                )


def _field(model: bytes, at: int, stop: int, name: str) -> tuple[int, int, int, int]:
    """Number, wire type, value (of `BYTES` the length), and where it ends."""
    try:
        tag, at = read_varint(model, at)
        wire, value = tag & 7, 0
        if wire in (VARINT, BYTES):
            value, at = read_varint(model, at)
        at += value if wire == BYTES else FIXED.get(wire, 0)
        if at <= stop and 0 < tag >> 3 < 1 << 29 and (wire in (VARINT, BYTES) or wire in FIXED):
            return tag >> 3, wire, value, at
    except (IndexError, ValueError):
        pass
    raise InvalidBundle(f"{name} is no ONNX file")
