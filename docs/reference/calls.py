"""Every RPC and message, from the .proto files and their comments."""

from collections.abc import Iterator
from pathlib import Path

from docs.reference import markdown
from docs.reference.markdown import code, plain, prose, table
from docs.reference.proto_files import Block, Entry, read
from vouch.server.services.contracts import HEALTH, REFLECTION_V1, REFLECTION_V1ALPHA

PROTOS = Path(__file__).parents[2] / "protos"
FILES = ("vouch/v1/classifier.proto", "inference/inference.proto")
GRPC_DOCS = "https://github.com/grpc/grpc/blob/master/doc"
STANDARD = (
    (HEALTH, f"[gRPC's health checks]({GRPC_DOCS}/health-checking.md)"),
    (REFLECTION_V1, f"[server reflection]({GRPC_DOCS}/server-reflection.md)"),
    (REFLECTION_V1ALPHA, "the same, for older clients"),
)
"""Services that are gRPC's own."""


def page() -> str:
    """rpc.md."""
    return markdown.page("RPCs", *_blocks())


def _blocks() -> Iterator[str]:
    yield prose("What the server answers over gRPC. Names, numbers and types are in the .proto files that are linked.")
    for file in FILES:
        blocks = read((PROTOS / file).read_text("utf-8"))
        for service in (one for one in blocks if one.kind == "service"):
            yield from _service(service, file)
        for one in (one for one in blocks if one.kind in ("message", "enum") and one.entries):
            yield from _message(one)
    yield "## gRPC's own services"
    rows = ([code(one.full_name), ", ".join(code(rpc.name) for rpc in one.methods), about] for one, about in STANDARD)
    yield table(["service", "RPCs", "what it is"], rows)


def _service(service: Block, file: str) -> Iterator[str]:
    yield f"## {file.rpartition('/')[0].replace('/', '.')}.{service.name}"
    yield f"[protos/{file}](../../protos/{file})"
    yield from _paragraphs(service.comment)
    yield table(["RPC", "request", "answer", "what it does"], map(_rpc, service.entries))


def _rpc(rpc: Entry) -> list[str]:
    request, answer = rpc.types
    return [code(rpc.name), code(request), code(answer), plain(rpc.comment)]


def _message(block: Block) -> Iterator[str]:
    yield f"### {block.name}"
    yield from _paragraphs(block.comment)
    header = ["value", "means"] if block.kind == "enum" else ["field", "type", "means"]
    yield table(
        header, ([code(one.name), *(code(kind) for kind in one.types), plain(one.comment)] for one in block.entries)
    )


def _paragraphs(comment: str) -> Iterator[str]:
    yield from (prose(plain(one)) for one in comment.split("\n\n") if one.strip())
