"""What anybody may ask of a server names none of its folders; its log does."""

import os
import shutil
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from tests.support.programs import serving_beside, until
from tests.support.tiny import ROTATED, publish_tiny, tiny_graph
from vouch.bundle.listed import CARD, MANIFEST, MODEL, VALIDATION
from vouch.bundle.store import ModelsFolder
from vouch.client.client import Client
from vouch.protos.inference import inference_pb2
from vouch.protos.vouch.v1 import classifier_pb2
from vouch.server.lineup.folders import without_folders
from vouch.server.services.contracts import HEALTH, REFLECTION_V1, REFLECTION_V1ALPHA

SERVICES = (
    classifier_pb2.DESCRIPTOR.services_by_name["Classifier"],
    inference_pb2.DESCRIPTOR.services_by_name["GRPCInferenceService"],
    *(HEALTH, REFLECTION_V1, REFLECTION_V1ALPHA),
)
NAMES = ("model", "name", "model_name", "service")
"""How a request's field is called that says what it is about."""


def link(version: Path) -> None:
    (version / MODEL).unlink()
    (version / MODEL).symlink_to(version.parent / "elsewhere.onnx")


def pipe(version: Path) -> None:
    (version / VALIDATION).unlink()
    os.mkfifo(version / VALIDATION)


def elsewhere(version: Path) -> None:
    version.rename(version.parent / "7")


def nested(version: Path) -> None:
    shutil.copytree(version, version / "1")


BROKEN: dict[str, Callable[[Path], object]] = {
    "no-manifest": lambda version: (version / MANIFEST).unlink(),
    "a-link": link,
    "a-pipe": pipe,
    "a-folder": nested,
    "too-short": lambda version: os.truncate(version / MODEL, 100),
    "changed": lambda version: (version / CARD).write_bytes(b"# tine\n"),
    "missing": lambda version: (version / VALIDATION).unlink(),
    "too-many": lambda version: (version / "more.txt").touch(),
    "no-json": lambda version: (version / MANIFEST).write_text("{"),
    "misplaced": elsewhere,
}
GRAPHS = {"no-graph": b"nothing", "less-right": tiny_graph(ROTATED), "misnamed": tiny_graph(inputs="pictures")}


@pytest.fixture
def models(tmp_path: Path) -> ModelsFolder:
    """A good model, and one of each kind that is refused."""
    folder = ModelsFolder(tmp_path / "our shelf")
    publish_tiny(folder)
    for name, break_it in BROKEN.items():
        break_it(publish_tiny(folder, name).path)
    for name, graph in GRAPHS.items():
        publish_tiny(folder, name, graph=graph)
    return folder


def answers(channel: grpc.Channel, names: tuple[str, ...]) -> Iterator[tuple[str, bytes]]:
    """A method's path, and what it answers to a request about each of these, as bytes."""
    for service in SERVICES:
        for method in service.methods:
            request = GetMessageClass(method.input_type)
            field = next((field for field in request.DESCRIPTOR.fields_by_name if field in NAMES), None)
            for name in names if field else names[:1]:
                path = f"/{service.full_name}/{method.name}"
                message = request(**{field: name}) if field else request()
                yield path, b"\n".join(answer(channel, path, method, message))


def answer(channel: grpc.Channel, path: str, method: Any, message: Message) -> list[bytes]:
    kinds = {False: ("unary_unary", "unary_stream"), True: ("stream_unary", "stream_stream")}
    call = getattr(channel, kinds[method.client_streaming][method.server_streaming])(path)
    content = message.SerializeToString()
    try:
        found = call(iter([content]) if method.client_streaming else content, timeout=30)
        return [*islice(found, 1)] if method.server_streaming else [found]
    except grpc.RpcError as err:
        return [(err.details() or "").encode()]


def test_no_answer_names_a_folder_of_the_server(models: ModelsFolder) -> None:
    """Of all methods, with versions that are refused for all kinds of reasons, and one that has lost its files."""
    kinds = {*BROKEN, *GRAPHS}
    with serving_beside(models.path) as (place, server):
        with Client(place["address"]) as client:

            def all_settled() -> bool:
                found = {model.name: model for model in client.models()}
                return kinds <= {name for name, model in found.items() if model.refusals} and found["tiny"].version == 1

            until(all_settled)
            reasons = {model.name: model.refusals[0][1] for model in client.models() if model.refusals}
        (models.path / "tiny" / "1" / VALIDATION).unlink()
        with grpc.insecure_channel(place["address"]) as channel:
            told = list(answers(channel, ("tiny", *kinds, "", "nobody")))
    log = server.err.text

    folder = str(models.path)
    assert [(path, content) for path, content in told if b"our shelf" in content or b"/tmp" in content] == []
    assert len(told) > 100
    assert b"too-short/1/model.onnx has 100 bytes" in b"".join(content for _, content in told)
    assert "the manifest of misplaced/7 names misplaced version 1, which belongs in misplaced/1" in reasons["misplaced"]
    assert f"{folder}/too-short/1/model.onnx has 100 bytes" in log


@pytest.mark.parametrize("models", ["models", "../some models", "/srv/my models", "."])
def test_a_sentence_keeps_all_but_the_folders(models: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However the models folder was named, and whatever else is quoted."""
    monkeypatch.chdir(tmp_path)
    given = Path(models)
    for folder in (given, given.absolute(), given.resolve()):
        assert (
            without_folders(
                f"{folder / 'tiny' / '1'} is 1/2 of our models, see '/usr/lib/x.py' and {folder / 'a'}.", given
            )
            == "tiny/1 is 1/2 of our models, see 'x.py' and a."
        )
    assert without_folders(f"{given.resolve()} cannot be read", given) == "the models folder cannot be read"
