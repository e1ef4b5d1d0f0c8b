"""A .proto file of ours as blocks: services, messages and enums with their comments. Pure; reads our own style alone,
which `buf lint` holds: a declaration a line, and a comment before what it is about.
"""

import re
from dataclasses import dataclass, field

OPENS = re.compile(r"(service|message|enum|oneof) (\w+) \{(\})?$")
RPC = re.compile(r"rpc (\w+)\((stream )?(\w+)\) returns \((stream )?(\w+)\);")
FIELD = re.compile(r"((?:repeated |optional )?[\w.]+|map<\w+, \w+>) (\w+) = \d+;")
VALUE = re.compile(r"(\w+) = \d+;")


@dataclass(frozen=True)
class Entry:
    """An RPC (its types are those of request and answer), a field (one type), or an enum's value (none)."""

    name: str
    types: tuple[str, ...]
    comment: str


@dataclass(frozen=True)
class Block:
    """A service, a message or an enum; one within a message has the name `Outer.Inner`."""

    kind: str
    name: str
    comment: str
    entries: list[Entry] = field(default_factory=list)


def read(text: str) -> list[Block]:
    """All blocks, in the order in which they begin. Raises ValueError at a line that is none of the above."""
    found: list[Block] = []
    open_blocks: list[Block] = []
    comment: list[str] = []
    for line in (line.strip() for line in text.splitlines()):
        if line.startswith("//"):
            comment.append(line[2:].strip())
            continue
        if opens := OPENS.match(line):
            kind, name, closes = opens.groups()
            if kind == "oneof":  # its fields are the message's
                block = open_blocks[-1]
            else:
                outer = f"{open_blocks[-1].name}." if open_blocks else ""
                found.append(block := Block(kind, outer + name, _joined(comment)))
            open_blocks += [] if closes else [block]
        elif line == "}":
            open_blocks.pop()
        elif open_blocks and line:
            open_blocks[-1].entries.append(_entry(line, _joined(comment)))
        comment = []
    return found


def _entry(line: str, comment: str) -> Entry:
    if rpc := RPC.fullmatch(line):
        name, sends, request, answers, answer = rpc.groups()
        return Entry(name, ((sends or "") + request, (answers or "") + answer), comment)
    if value := VALUE.fullmatch(line):
        return Entry(value[1], (), comment)
    if declared := FIELD.fullmatch(line):
        return Entry(declared[2], (declared[1],), comment)
    raise ValueError(f"expected an RPC, a field or a value, got {line!r}")


def _joined(comment: list[str]) -> str:
    """Its paragraphs, with an empty line between."""
    return "\n".join(comment)
