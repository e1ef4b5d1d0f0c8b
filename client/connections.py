"""A client's connections to its server: a new one is opened before one has had too many resets.

A call that is cancelled, or whose deadline passes, is reset. Servers limit the resets of a connection
(CVE-2023-44487) and then close it with all its calls: h2corn after 200 resets in 10 s. So a connection takes no
further call while its open calls and recent resets are near that limit.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Generic, TypeVar

import grpc

from vouch.protos.vouch.v1.classifier_pb2_grpc import ClassifierStub

HEALTH = "/grpc.health.v1.Health/Check"
WINDOW_S = 10.0
MAX_LOAD = 150
"""A connection's open calls, and its resets within the last `WINDOW_S`."""
MAX_CONNECTIONS = 8
"""When all these are at `MAX_LOAD`, the least loaded takes the next call."""
RESET = (grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.CANCELLED)

C = TypeVar("C", bound=grpc.Channel | grpc.aio.Channel)


class Connection(Generic[C]):
    """A channel with its stubs and its load."""

    def __init__(self, channel: C) -> None:
        self.channel = channel
        self.classifier = ClassifierStub(channel)
        self.health: Any = channel.unary_unary(HEALTH)
        self.under_way = 0
        self._resets: deque[float] = deque(maxlen=MAX_LOAD)

    def was_reset(self) -> None:
        """Counts a reset call of this connection."""
        self._resets.append(time.monotonic())

    @property
    def load(self) -> int:
        """Open calls, plus recent resets."""
        while self._resets and self._resets[0] < time.monotonic() - WINDOW_S:
            self._resets.popleft()
        return self.under_way + len(self._resets)


class Connections(Generic[C]):
    """One connection, and more when needed; any number of threads can share them."""

    def __init__(self, open_channel: Callable[[], C]) -> None:
        """
        Args:
            open_channel: opens a channel that shares no connection with another one.
        """
        self._open_channel = open_channel
        self._lock = threading.Lock()
        self._opened = [Connection(open_channel())]

    @contextmanager
    def one(self) -> Iterator[Connection[C]]:
        """The connection for one call, made inside the block."""
        with self._lock:
            connection = self._chosen()
            connection.under_way += 1
        reset = True
        try:
            yield connection
            reset = False
        except grpc.RpcError as err:
            reset = err.code() in RESET
            raise
        finally:
            with self._lock:
                connection.under_way -= 1
                if reset:
                    connection.was_reset()

    def _chosen(self) -> Connection[C]:
        for connection in self._opened:
            if connection.load < MAX_LOAD:
                return connection
        if len(self._opened) < MAX_CONNECTIONS:
            self._opened.append(Connection(self._open_channel()))
            return self._opened[-1]
        return min(self._opened, key=lambda connection: connection.load)

    @property
    def channels(self) -> list[C]:
        """All open channels, to close them."""
        return [connection.channel for connection in self._opened]
