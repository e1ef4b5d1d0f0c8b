"""A worker's services with REST and the page in a thread of its own, for tests that wait for a browser."""

import asyncio
from collections.abc import Coroutine
from http.client import HTTPConnection
from threading import Thread
from typing import Any, NamedTuple, TypeVar

from tests.support.lineups import Published
from vouch.bundle.opening import Bundle
from vouch.server.counting.statistics import Statistics
from vouch.server.model.batcher import Limits, start_batcher
from vouch.server.model.session import open_session
from vouch.server.services.decoder import Decoder
from vouch.server.services.predictor import Predictor
from vouch.server.serving.catalog import Catalog
from vouch.server.serving.gate import Gate
from vouch.server.serving.readiness import Readiness
from vouch.server.serving.served import Served
from vouch.server.settings import ServeSettings
from vouch.server.transport.choice import Listener
from vouch.server.transport.h2corn import start_h2corn
from vouch.server.transport.limits import Listening
from vouch.server.worker.services import ServiceParts, http_of, service_table

WITHIN_S = 30
MAX_MESSAGE_BYTES = 4 << 20
T = TypeVar("T")


class Answer(NamedTuple):
    """What was answered over HTTP."""

    status: int
    headers: dict[str, str]
    body: bytes


class PageServer:
    """Serves until it is closed."""

    def __init__(self, *bundles: Bundle, **settings: Any) -> None:
        """
        Args:
            settings: those of `vouch serve` that differ from their defaults.
        """
        self._loop = asyncio.new_event_loop()
        self._thread = Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._settings = ServeSettings(**settings)
        self._do(self._load(bundles))
        self.port = 0
        self.come_back()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def get(self, path: str, **headers: str) -> Answer:
        """Asks it."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=WITHIN_S)
        connection.request("GET", path, headers=headers)
        response = connection.getresponse()
        found = Answer(response.status, {key.lower(): value for key, value in response.getheaders()}, response.read())
        connection.close()
        return found

    def refuse(self, name: str, version: int, reason: str) -> None:
        """A version of a model is not served."""

        async def refuse() -> None:
            self._published.refuse(name, version, reason)

        self._do(refuse())

    def leave(self) -> None:
        """Listens no more."""
        self._do(self._listener.stop())

    def come_back(self) -> None:
        """Listens again, where it did before."""
        self._listener = self._do(self._listen())
        self.port = self._listener.port

    def close(self) -> None:
        """Ends it."""
        self.leave()
        self._do(self._catalog.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(WITHIN_S)
        self._loop.close()

    def _do(self, steps: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(steps, self._loop).result(WITHIN_S)

    async def _load(self, bundles: tuple[Bundle, ...]) -> None:
        readiness = Readiness()
        self._gate = Gate()
        self._catalog = Catalog(on_change=lambda: readiness.set(self._catalog.ready))
        self._published = Published(self._catalog)
        predictor = Predictor(self._catalog, Decoder(1, 2000).decode, 2000, MAX_MESSAGE_BYTES)
        self._parts = ServiceParts(self._catalog, self._gate, readiness, predictor)
        for bundle in bundles:
            session, statistics = open_session(bundle.read_model(), "cpu", 1), Statistics()
            batcher = start_batcher(session.run, Limits(256, 2000), on_batch=statistics.add)
            self._published.serve(Served(bundle, bundle.manifest.claim.accuracy, batcher, statistics))

    async def _listen(self) -> Listener:
        http = http_of(self._settings, self._parts)
        listening = Listening(port=self.port, max_message_bytes=MAX_MESSAGE_BYTES, http=http)
        return await start_h2corn(service_table(self._parts), self._gate, listening)
