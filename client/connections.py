"""A client's connections to its server: there are several before one has had too many resets.

A call whose deadline passes, or that is cancelled, is reset. Servers bound how often that happens on a connection
(CVE-2023-44487) and then end it, with all of its calls: h2corn after 200 resets in 10 s. So a connection takes no
further call while the calls under way and the resets of late come near that.
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
"""Calls of a connection that are under way or were reset within the last `WINDOW_S`."""
MAX_CONNECTIONS = 8
"""When all have that many, the one that has the fewest takes the next call."""
RESET = (grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.CANCELLED)

C = TypeVar("C", bound=grpc.Channel | grpc.aio.Channel)


class Connection(Generic[C]):
    """A channel, what is called over it, and how many calls it has."""

    def __init__(self, channel: C) -> None:
        self.channel = channel
        self.classifier = ClassifierStub(channel)
        self.health: Any = channel.unary_unary(HEALTH)
        self.under_way = 0
        self._resets: deque[float] = deque(maxlen=MAX_LOAD)

    def was_reset(self) -> None:
        """A call of this connection."""
        self._resets.append(time.monotonic())

    @property
    def load(self) -> int:
        """Calls under way, and resets of late."""
        while self._resets and self._resets[0] < time.monotonic() - WINDOW_S:
            self._resets.popleft()
        return self.under_way + len(self._resets)


class Connections(Generic[C]):
    """One, and more when they are needed; shared by any number of threads."""

    def __init__(self, open_channel: Callable[[], C]) -> None:
        """
        Args:
            open_channel: no two of its channels may share a connection.
        """
        self._open_channel = open_channel
        self._lock = threading.Lock()
        self._opened = [Connection(open_channel())]

    @contextmanager
    def one(self) -> Iterator[Connection[C]]:
        """For one call, which lasts as long as the block."""
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
        """All that were opened, to be closed."""
        return [connection.channel for connection in self._opened]
