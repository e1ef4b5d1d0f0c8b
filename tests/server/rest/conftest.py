"""REST over a catalog that serves the tiny model, asked as an ASGI server would: no socket, no process."""

import asyncio
import gzip
import json
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.support.lineups import Published
from tests.support.tiny import publish_tiny
from vouch.bundle.opening import Bundle
from vouch.bundle.store import ModelsFolder
from vouch.server.budget import Budget, worker_budget
from vouch.server.counting.statistics import Statistics
from vouch.server.model.batcher import Limits, start_batcher
from vouch.server.model.session import open_session
from vouch.server.model.usable import unusable_in
from vouch.server.rest.app import RestApp
from vouch.server.rest.guard import Guard
from vouch.server.rpc.call import Calls
from vouch.server.rpc.method import Method
from vouch.server.services.decoder import Decoder
from vouch.server.services.predictor import Predictor
from vouch.server.serving.catalog import Catalog
from vouch.server.serving.gate import Gate
from vouch.server.serving.readiness import Readiness
from vouch.server.serving.served import Served
from vouch.server.transport.asgi import App
from vouch.server.transport.asgi_request import Event
from vouch.server.transport.intake import Intake
from vouch.server.worker.services import ServiceParts, service_table

MAX_MESSAGE_BYTES = 300_000
MAX_REQUEST_IMAGES = 500


@dataclass
class Answer:
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return orjson.loads(self.content)

    @property
    def content(self) -> bytes:
        packed = self.headers.get("content-encoding") == "gzip"
        return gzip.decompress(self.body) if packed else self.body

    @property
    def kind(self) -> str:
        return self.headers.get("content-type", "")


@dataclass
class Rest:
    """The application, and what is behind it."""

    catalog: Catalog
    published: Published
    readiness: Readiness
    gate: Gate
    methods: list[Method]
    folder: ModelsFolder
    budget: Budget
    max_message_bytes: int
    guard: Guard = field(default_factory=lambda: Guard("127.0.0.1"))

    def install(self, bundle: Bundle) -> Served:
        session, statistics = open_session(bundle.read_model(), "cpu", 1), Statistics()
        batcher = start_batcher(
            session.run, Limits(64, 2000), on_batch=statistics.add, unusable=unusable_in(bundle.manifest)
        )
        return self.published.serve(Served(bundle, bundle.manifest.claim.accuracy, batcher, statistics))

    def app(self) -> App:
        calls = Calls(self.methods, self.gate, self.max_message_bytes, budget=self.budget)
        return App(calls, Intake(self.max_message_bytes), lambda calls, intake: RestApp(calls, intake, self.guard))

    async def ask(
        self, verb: str, path: str, *chunks: bytes, kind: str = "application/octet-stream", **headers: str
    ) -> Answer:
        """One request, whose body comes in these pieces; underscores in names of headers are dashes."""
        named = {"host": "localhost:8081", "content-type": kind} | headers
        bare, _, query = path.partition("?")
        scope = {
            "type": "http",
            "method": verb,
            "path": bare,
            "query_string": query.encode(),
            "headers": [(name.replace("_", "-").encode(), value.encode("latin-1")) for name, value in named.items()],
            "client": ("127.0.0.1", 5),
            "scheme": "http",
            "http_version": "1.1",
        }
        left, sent = list(chunks or (b"",)), list[Event]()

        async def receive() -> Event:
            await asyncio.sleep(0)  # as where pieces come over a network
            if not left:
                await asyncio.Event().wait()  # who has asked waits for the answer
            return {"type": "http.request", "body": left.pop(0), "more_body": bool(left)}

        async def send(event: Event) -> None:
            sent.append(event)

        await self.app()(scope, receive, send)
        start, *bodies = sent
        headers_sent = {name.decode(): value.decode() for name, value in start["headers"]}
        return Answer(start["status"], headers_sent, b"".join(event["body"] for event in bodies))

    async def infer(self, request: object, path: str = "/v2/models/tiny/infer", **headers: str) -> Answer:
        return await self.ask("POST", path, json.dumps(request).encode(), kind="application/json", **headers)


def deflated(content: bytes) -> bytes:
    return zlib.compress(content)


@pytest.fixture
async def rest(tmp_path: Path) -> AsyncIterator[Rest]:
    """One model, `tiny` version 1, is served."""
    async with serving_tiny(tmp_path / "models") as house:
        yield house


@asynccontextmanager
async def serving_tiny(
    models: Path, max_message_bytes: int = MAX_MESSAGE_BYTES, budget_bytes: int = 20_000_000
) -> AsyncIterator[Rest]:
    """Behind no port."""
    readiness, gate = Readiness(), Gate()
    catalog = Catalog(on_change=lambda: readiness.set(catalog.ready))
    budget = worker_budget(budget_bytes)
    decoder = Decoder(2, 100, budget)
    predictor = Predictor(catalog, decoder.decode, MAX_REQUEST_IMAGES, max_message_bytes)
    table = service_table(ServiceParts(catalog, gate, readiness, predictor))
    folder = ModelsFolder(models)
    house = Rest(catalog, Published(catalog), readiness, gate, table, folder, budget, max_message_bytes)
    house.install(publish_tiny(folder))
    yield house
    assert budget.held == 0
    await catalog.close()
    decoder.close()
