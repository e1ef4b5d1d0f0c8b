"""What a model file requires of a runtime, read from the file before a runtime opens it.

Two things are searched, also in subgraphs and functions: operators of other domains than ONNX's, whose code is less
tested, and data outside the file, which could be any file of the machine. Weights are skipped, so the time depends only
on the number of nodes. The fields are those of https://github.com/onnx/onnx/blob/main/onnx/onnx.proto.
"""

from collections.abc import Collection, Mapping
from typing import NamedTuple

from vouch.bundle.errors import InvalidBundle
from vouch.bundle.wire_format import BYTES, FIXED, VARINT, read_varint

OWN_DOMAINS = frozenset({"", "ai.onnx", "ai.onnx.ml"})
"""Domains of operators in the ONNX standard; `ai.onnx` is another name of the empty domain."""
MAX_FIELDS = 20_000_000
"""Enough for a million nodes, which take about 20 s. Unpacked weights have one field each."""
MAX_DEPTH = 100
"""Nesting of messages, as in protobuf."""


class Kind(NamedTuple):
    """The fields of a kind of message that are read, by number."""

    parts: Mapping[int, str] = {}
    """Field -> the kind of message in it."""
    domains: tuple[int, ...] = ()
    """Fields with names of operator domains."""
    outside: tuple[int, ...] = ()
    """Fields that exist and are not 0 if data is outside the file."""


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
    """Checks a model file.

    Args:
        model: the .onnx file's content.
        allowed_domains: domains of operators that are allowed besides ONNX's own.
        name: the file's name in messages.

    Raises:
        InvalidBundle: it has operators of other domains or data outside the file, or is not an ONNX file.
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
                raise InvalidBundle(f"{name} has more than {MAX_FIELDS:,} parts, or more than {MAX_DEPTH} nested ones")
            if number in kind.outside and (wire == BYTES or value):
                raise InvalidBundle(f"{name} has data outside the file; a bundle's model is one file")
            if wire != BYTES:
                continue
            if number in kind.parts and value:
                waiting.append((at - value, at, kind.parts[number], depth + 1))
            elif number in kind.domains and (domain := model[at - value : at]) not in allowed:
                raise InvalidBundle(
                    f"{name} has operators of the domain {domain[:100].decode(errors='replace')!r}; only those of "
                    "ONNX are allowed, and of domains that --allow-domain names"
                )


def _field(model: bytes, at: int, stop: int, name: str) -> tuple[int, int, int, int]:
    """A field's number, wire type, value (for `BYTES` the length), and end position."""
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
    raise InvalidBundle(f"{name} is not an ONNX file")
