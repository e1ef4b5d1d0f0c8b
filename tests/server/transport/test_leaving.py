"""Hundreds of callers who leave midway, over every transport: the log stays as it was, and the counts tell of them."""

import json
import re
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest

from tests.hostile.frames import MAX_FRAME, message
from tests.hostile.raw_call import RawCall
from tests.server.services.classifier.calls import raw
from tests.support.programs import Program, serving_beside, until
from tests.support.tiny import publish_tiny, tiny_images
from vouch.bundle.store import ModelsFolder
from vouch.client.client import Client
from vouch.protos.vouch.v1 import classifier_pb2 as pb
from vouch.server.settings import Transport

CALLERS, AT_ONCE = 300, 20
"""Of each method."""
CLASSIFIER = "/vouch.v1.Classifier"
LARGE = raw(tiny_images(3000)[0], top_k=3).SerializeToString()
STREAMED = pb.PredictStreamRequest(id="a", request=raw(tiny_images(500)[0], top_k=3)).SerializeToString()
CALLS = {
    f"{CLASSIFIER}/Predict": LARGE,
    f"{CLASSIFIER}/PredictStream": STREAMED,
    f"{CLASSIFIER}/Evaluate": b"",
    "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo": b"\x3a\x00",
    "/grpc.health.v1.Health/Watch": b"",
}
H2CORNS_OWN = {"stream channel was closed", "connection writer was closed"}
H2CORNS_OWN |= {"ASGI app returned before completing the response"}
"""H2corn writes these to the descriptor itself, for about one in twenty; nothing in it can be set to stop it."""
GRPCIOS_OWN, FEW = "ExecuteBatchError raised in core", 20
"""Grpcio logs where a caller left as its answer was handed over: once in some seconds, with a count."""
CODES = ("CANCELLED", "INTERNAL", "UNKNOWN")


def leave(port: int, path: str, number: int, disconnect: bool) -> None:
    """Sends a request, or half of one, and cancels or disconnects before or while the answer comes."""
    with RawCall(port, path) as call, suppress(OSError):
        body = message(CALLS[path])
        if number % 3:
            call.send_all(body)
        else:
            call.send(body[: len(body) // 2][:MAX_FRAME])
        time.sleep(number % 7 / 1000)
        if not disconnect:
            call.cancel()


def has_logged(server: Program, event: str) -> bool:
    """Whether a line of it is whole."""
    return re.search(f'"event": "{event}".*\n', server.err.text) is not None


def leave_all(port: int, disconnect: bool) -> None:
    """Some at a time."""
    calls = [(path, number) for number in range(CALLERS) for path in CALLS]
    with ThreadPoolExecutor(AT_ONCE) as threads:
        for _ in threads.map(lambda call: leave(port, call[0], call[1], disconnect), calls, timeout=300):
            pass


@pytest.mark.parametrize("disconnect", [False, True], ids=["cancel", "disconnect"])
def test_callers_who_leave_do_not_fill_the_log(tmp_path: Path, transport: Transport, disconnect: bool) -> None:
    """Not a line of ours or of Python's for any of them; they are counted, and none as a fault of ours."""
    publish_tiny(ModelsFolder(tmp_path))
    with serving_beside(tmp_path, "--transport", transport) as (place, server), Client(place["address"]) as client:
        until(client.ready)
        for event in ("served", "started"):  # in either order
            until(partial(has_logged, server, event))
        begun = len(server.err.text)
        leave_all(int(place["address"].rpartition(":")[2]), disconnect)
        assert client.ready()
        written = server.err.text[begun:].splitlines()
        with urllib.request.urlopen(f"http://{place['metrics']}/metrics", timeout=10) as response:
            counted = response.read().decode()

    ours = [line for line in written if json.loads(line).get("detail") not in H2CORNS_OWN]
    assert [line for line in ours if GRPCIOS_OWN not in line] == []
    assert len(ours) < FEW
    line = r'vouch_requests_total\{{.*code="{}".*\}} (\S+)'
    ended = {code: sum(map(float, re.findall(line.format(code), counted))) for code in CODES}
    assert ended["CANCELLED"] > 0
    assert (ended["INTERNAL"], ended["UNKNOWN"]) == (0, 0)
