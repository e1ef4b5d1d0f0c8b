"""Known requests: those of which everything but their content has been read before.

Requests of a client differ in their pixels and in little else. What surrounds the pixels is read once, as a protobuf
message like any other, and then known again by its bytes. What is to be done with such a request is its plan; this file
does not know what that is, nor what the content means.
"""

from collections.abc import Callable
from typing import Generic, NamedTuple, TypeVar

from vouch.bundle.wire_format import Serialized, read_varint

P = TypeVar("P")
MAX_KNOWN = 256
"""Surroundings that are remembered; a client that never asks twice alike would fill any number."""
MAX_SURROUNDING_BYTES = 1024
MAX_FIELDS = 16
"""Fields that are looked at for the content; a request has fewer, and one of millions would hold up the event loop."""


class Span(NamedTuple):
    """Where the content of a field lies."""

    start: int
    stop: int


class Surroundings(NamedTuple, Generic[P]):
    """What requests that differ in their content alone have in common."""

    head: bytes
    """Before the content, its length included."""
    tail: bytes
    """Behind it."""
    plan: P


class KnownRequests(Generic[P]):
    """Serialized requests of one method, recognised."""

    def __init__(
        self,
        find: Callable[[Serialized], Span | None],
        plan: Callable[[Serialized], P | None],
        generation: Callable[[], int],
    ) -> None:
        """
        Args:
            find: where the content lies in a request; None where that is not plain to see.
            plan: what is to be done with this request and all that have the same surroundings; None where that cannot
                be said of them all.
            generation: another number whenever plans of before do not hold any more.
        """
        self._find = find
        self._plan = plan
        self._current = generation
        self._generation = generation()
        self._known: dict[tuple[bytes, bytes], Surroundings[P]] = {}
        self._last: dict[int, Surroundings[P]] = {}
        """Length of a request -> what surrounded the last one of that length: most often the next one's as well."""

    def __len__(self) -> int:
        return len(self._known)

    def recognise(self, request: Serialized) -> tuple[P, int] | None:
        """The request's plan, and where its content begins; None: it has to be read like any other message."""
        if self._generation != self._current():
            self._forget()
        last = self._last.get(len(request))
        if last is None or not _surround(last, request):
            last = self._look_up(request)
            if last is None:
                return None
            self._last[len(request)] = last
        return last.plan, len(last.head)

    def _look_up(self, request: Serialized) -> Surroundings[P] | None:
        found = self._find(request)
        if found is None or len(request) - (found.stop - found.start) > MAX_SURROUNDING_BYTES:
            return None
        head, tail = bytes(request[: found.start]), bytes(request[found.stop :])
        known = self._known.get((head, tail))
        if known is None and (plan := self._plan(request)) is not None:
            if len(self._known) >= MAX_KNOWN:
                self._forget()
            known = self._known[head, tail] = Surroundings(head, tail, plan)
        return known

    def _forget(self) -> None:
        """All: there are too many, or their plans do not hold any more."""
        self._known.clear()
        self._last.clear()
        self._generation = self._current()


def _surround(last: Surroundings[P], request: Serialized) -> bool:
    """Whether these surround a request of the length that theirs had."""
    head, tail, _ = last
    return request[: len(head)] == head and request[len(request) - len(tail) :] == tail


def find_field(message: Serialized, tag: int, start: int, stop: int) -> Span | None:
    """The content of the first field with this tag among a few fields that have a length or are numbers; else None.

    Args:
        tag: of a field with a length: number << 3 | 2, below 128.
        start: of the fields.
        stop: their end.
    """
    try:
        for _ in range(MAX_FIELDS):
            if start >= stop:
                break
            found = message[start]
            if found & 7 == 0:
                _, start = read_varint(message, start + 1)
                continue
            if found & 7 != 2 or found > 0x7F:
                return None
            length, content = read_varint(message, start + 1)
            if content + length > stop:
                return None
            if found == tag:
                return Span(content, content + length)
            start = content + length
    except (IndexError, ValueError):
        pass
    return None
