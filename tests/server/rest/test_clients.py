"""Clients of others over a socket: curl, tritonclient's HTTP, Node's fetch, a browser's fetch, and schemathesis."""

import asyncio
import json
import shutil
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from queue import Queue
from unittest.mock import ANY

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from playwright.sync_api import sync_playwright
from schemathesis.checks import CheckFunction, not_a_server_error
from schemathesis.specs.openapi.checks import positive_data_acceptance

from tests.server.rest.conftest import Rest, serving_tiny
from tests.server.rest.test_predict import png
from tests.support.browser import CHROMIUM, FLAGS, needs_chromium
from tests.support.tiny import LABELS, tiny_images
from vouch.server.rest.app import RestApp
from vouch.server.rest.content import Content
from vouch.server.rest.exchange import Exchange
from vouch.server.rest.guard import Guard
from vouch.server.rest.headers import TIMEOUT
from vouch.server.rest.openapi import document
from vouch.server.rest.route import Page
from vouch.server.rest.table import rest_routes
from vouch.server.rpc.method import NO_METHOD
from vouch.server.settings import ServeSettings
from vouch.server.transport import listening_socket
from vouch.server.transport.h2corn import start_h2corn
from vouch.server.transport.limits import Listening
from vouch.server.worker.services import ServiceParts, http_of

WITHIN_S = 60
NODE, CURL = shutil.which("node"), shutil.which("curl")
IMAGES, ROWS = tiny_images(5)


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Of a server in a thread with an event loop of its own; pages of one other origin may call it."""
    said: Queue[tuple[str, asyncio.AbstractEventLoop, asyncio.Event]] = Queue()

    async def serve() -> None:
        async with serving_tiny(tmp_path_factory.mktemp("models")) as house:
            guard, ended = Guard("127.0.0.1", origins=["http://localhost:5000"]), asyncio.Event()
            http = Listening(http=lambda calls, intake: RestApp(calls, intake, guard), budget=house.budget)
            server = await start_h2corn(house.methods, house.gate, http)
            said.put((f"127.0.0.1:{server.port}", asyncio.get_running_loop(), ended))
            await ended.wait()
            await server.stop()

    thread = threading.Thread(target=lambda: asyncio.run(serve()), name="REST")
    thread.start()
    where, loop, ended = said.get(timeout=WITHIN_S)
    yield where
    loop.call_soon_threadsafe(ended.set)
    thread.join(WITHIN_S)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("files") / "image.png"
    path.write_bytes(png(IMAGES[0]))
    return path


def printed(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=WITHIN_S, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.skipif(CURL is None, reason="curl is not installed (apt install curl)")
@pytest.mark.parametrize("version", ["--http1.1", "--http2-prior-knowledge"])
@pytest.mark.parametrize(
    "body", [("--data-binary", "@{}"), ("--form", "file=@{}"), ("--upload-file", "{}", "-X", "POST")]
)
def test_curl(address: str, file: Path, version: str, body: tuple[str, ...]) -> None:
    """Over each version of HTTP, an image as the body or in a form; compressed where it is asked for."""
    words = [word.format(file) for word in body]
    answer = printed("curl", "-sS", version, "--compressed", *words, f"http://{address}/v1/models/tiny:predict")

    assert json.loads(answer)["predictions"][0]["labels"][0]["label"] == LABELS[ROWS[0]]


TRITON = """
import sys
import numpy as np
import tritonclient.http as http
from tritonclient.utils import InferenceServerException
client = http.InferenceServerClient(sys.argv[1], network_timeout=30, connection_timeout=30)
assert client.is_server_live() and client.is_server_ready() and client.is_model_ready("tiny")
assert not client.is_model_ready("tiny", "7")
assert client.get_server_metadata()["name"] == "vouch"
assert client.get_model_metadata("tiny", "1")["inputs"][0]["name"] == "images"
assert client.get_model_config("tiny")["max_batch_size"] > 0
assert client.get_model_repository_index()[0]["name"] == "tiny"
images = np.array(eval(sys.argv[2]), np.uint8)
rows = []
for binary in (True, False):
    for packed in (None, "gzip", "deflate"):
        tensor = http.InferInput("images", images.shape, "UINT8")
        tensor.set_data_from_numpy(images, binary_data=binary)
        outputs = [http.InferRequestedOutput("probabilities", binary_data=binary)]
        for wanted in (None, outputs):
            answer = client.infer(
                "tiny", [tensor], outputs=wanted, request_id="a",
                request_compression_algorithm=packed, response_compression_algorithm=packed,
            )
            rows.append(answer.as_numpy("probabilities").argmax(1).tolist())
named = client.infer("tiny", [tensor], outputs=[http.InferRequestedOutput("probabilities", class_count=1)])
assert named.as_numpy("probabilities").shape == (len(images), 1)
assert client.get_inference_statistics("tiny")["model_stats"][0]["inference_count"] > 0
try:
    client.infer("cats", [tensor])
except InferenceServerException as err:
    assert "there is no model 'cats'" in err.message(), err.message()
    assert err.status() == "404", err.status()
else:
    raise AssertionError("no error")
assert all(one == rows[0] for one in rows), rows
print(rows[0])
"""


def test_tritonclient(address: str) -> None:
    """Binary tensors and JSON, compressed or not; metadata, configuration, statistics, errors."""
    assert json.loads(printed(sys.executable, "-c", TRITON, address, str(IMAGES.tolist()))) == ROWS.tolist()


FETCH = """
const predict = async (address, bytes) => {
  const answer = await fetch(`http://${address}/v1/models/tiny:predict?top_k=1`, {method: "POST", body: bytes});
  return `${answer.status} ${(await answer.json()).predictions[0].labels[0].label}`;
};
"""
NODE_PROGRAM = (
    FETCH
    + """
predict(process.argv[1], require("fs").readFileSync(process.argv[2])).then(console.log);
"""
)


@pytest.mark.skipif(NODE is None, reason="Node is not installed (apt install nodejs)")
def test_node(address: str, file: Path) -> None:
    """Its fetch, which is the browser's."""
    assert printed("node", "-e", NODE_PROGRAM, address, str(file)) == f"200 {LABELS[ROWS[0]]}\n"


@needs_chromium
def test_a_browsers_pages(address: str, file: Path) -> None:
    """One of an origin that is allowed gets answers; another gets none, and cannot read what there is."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = browser.new_page()
        page.set_default_timeout(WITHIN_S * 1000)
        page.route("http://localhost:*/", lambda route: route.fulfill(body="<html></html>", content_type="text/html"))
        found = []
        for origin in ("http://localhost:5000/", "http://localhost:5001/"):
            page.goto(origin)
            script = f"async (given) => {{ {FETCH} return predict(given[0], new Uint8Array(given[1])).catch(String); }}"
            found.append(page.evaluate(script, [address, list(file.read_bytes())]))
        browser.close()

    assert found == [f"200 {LABELS[ROWS[0]]}", "TypeError: Failed to fetch"]


DOCUMENT = document(rest_routes())
SCHEMA = schemathesis.openapi.from_dict(DOCUMENT)
EVERYWHERE = {"content-type", "content-length", "transfer-encoding", "date", "vary", "x-content-type-options"}
"""Headers of answers that belong to HTTP and to browsers: the document leaves them out."""
OPERATIONS = [(route.path, route.verb) for route in rest_routes()]


@pytest.mark.parametrize(("path", "verb"), OPERATIONS)
@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_schemathesis_finds_nothing(address: str, path: str, verb: str, data: st.DataObject) -> None:
    """No answer that the document does not describe, no failure of ours, whatever is asked.

    Random bytes are no image though the document takes them, so what is refused is not held against the schema.
    """
    case = data.draw(SCHEMA[path][verb].as_strategy())
    may_be_late = TIMEOUT.name in case.headers
    unchecked: list[CheckFunction] = [positive_data_acceptance, *([not_a_server_error] if may_be_late else [])]
    answer = case.call_and_validate(base_url=f"http://{address}", timeout=WITHIN_S, excluded_checks=unchecked)

    assert answer.status_code < 500 or (may_be_late and answer.status_code == 504)
    responses = DOCUMENT["paths"][path][verb.lower()]["responses"]
    documented = responses.get(str(answer.status_code), responses["default"])["headers"]
    assert set(map(str.lower, answer.headers)) - EVERYWHERE <= set(documented)


async def test_a_head_that_is_too_long_is_refused(rest: Rest) -> None:
    """Before all of it is read."""
    async with listening(rest) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /v2 HTTP/1.1\r\nHost: localhost\r\nX-A: " + b"a" * 20_000)
        async with asyncio.timeout(WITHIN_S):
            assert (await reader.read(100)).startswith(b"HTTP/1.1 431")
        writer.close()


async def test_without_http_the_port_speaks_grpc_alone(rest: Rest) -> None:
    """As `--no-http` wants it: a request over HTTP/1.1 is no beginning of HTTP/2."""
    assert http_of(ServeSettings(http=False), ServiceParts(rest.catalog, rest.gate, rest.readiness, ANY)) is None
    server = await start_h2corn(rest.methods, rest.gate, Listening())
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(b"GET /v2 HTTP/1.1\r\nHost: localhost\r\n\r\n")
    async with asyncio.timeout(WITHIN_S):
        assert not (await reader.read()).startswith(b"HTTP/1.1 200")
    writer.close()
    await server.stop()


async def test_a_caller_who_reads_nothing_is_given_up(rest: Rest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its answer is not kept for ever: over HTTP/1.1 the connection's own limit ends it."""
    monkeypatch.setattr(listening_socket, "STALL_S", 1.0)
    async with listening(rest, Page("GET", "/large", _large, "A large answer")) as port, asyncio.timeout(WITHIN_S):
        _, writer = await asyncio.open_connection("127.0.0.1", port, limit=1)
        writer.write(b"GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n")
        (no_method,) = (method for method in rest.methods if method.path == NO_METHOD)
        while not no_method.requests.methods:
            await asyncio.sleep(0.05)
        writer.transport.abort()


async def _large(_exchange: Exchange, _values: Mapping[str, str]) -> Content:
    return Content(bytes(32 << 20))


@asynccontextmanager
async def listening(rest: Rest, *pages: Page) -> AsyncIterator[int]:
    """The port of a server within this test's event loop."""
    guard = Guard("127.0.0.1")
    http = Listening(http=lambda calls, intake: RestApp(calls, intake, guard, pages))
    server = await start_h2corn(rest.methods, rest.gate, http)
    yield server.port
    await server.stop()
