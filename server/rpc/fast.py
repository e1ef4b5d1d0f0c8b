"""Known requests: requests that differ from an earlier one only in their content.

The requests of a client mostly differ only in their pixels. The bytes around the pixels are parsed once, as part of a
protobuf message, and later recognised without parsing. Each has a plan, which says what to do with such requests. This
file knows neither what a plan is nor what the content means.
"""

from collections.abc import Callable
from typing import Generic, NamedTuple, TypeVar

from vouch.bundle.wire_format import Serialized, read_varint

P = TypeVar("P")
MAX_KNOWN = 256
"""Limit of remembered surroundings, because a client may never repeat one."""
MAX_SURROUNDING_BYTES = 1024
MAX_FIELDS = 16
"""Fields that are searched for the content; a request has fewer, and one of millions would block the event loop."""


class Span(NamedTuple):
    """Where the content of a field is."""

    start: int
    stop: int


class Surroundings(NamedTuple, Generic[P]):
    """The common bytes of requests that differ only in their content."""

    head: bytes
    """Bytes before the content, including its length."""
    tail: bytes
    """Bytes after it."""
    plan: P


class KnownRequests(Generic[P]):
    """Recognises serialized requests of one method."""

    def __init__(
        self,
        find: Callable[[Serialized], Span | None],
        plan: Callable[[Serialized], P | None],
        generation: Callable[[], int],
    ) -> None:
        """
        Args:
            find: finds the content in a request; None if that is not certain.
            plan: the plan for all requests with the surroundings of this one; None if they have no common plan.
            generation: returns another number whenever earlier plans are no longer valid.
        """
        self._find = find
        self._plan = plan
        self._current = generation
        self._generation = generation()
        self._known: dict[tuple[bytes, bytes], Surroundings[P]] = {}
        self._last: dict[int, Surroundings[P]] = {}
        """Length of a request -> surroundings of the last one of that length: the next one mostly has the same."""

    def __len__(self) -> int:
        return len(self._known)

    def recognise(self, request: Serialized) -> tuple[P, int] | None:
        """The request's plan, and where its content begins; None if it must be parsed like any other message."""
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
        """Forgets all: there are too many, or their plans are no longer valid."""
        self._known.clear()
        self._last.clear()
        self._generation = self._current()


def _surround(last: Surroundings[P], request: Serialized) -> bool:
    """Whether a request of the same length has these surroundings."""
    head, tail, _ = last
    return request[: len(head)] == head and request[len(request) - len(tail) :] == tail


def find_field(message: Serialized, tag: int, start: int, stop: int) -> Span | None:
    """The content of the first field with this tag among the first fields; None if there is another kind of field.

    Args:
        tag: of a length-delimited field: number << 3 | 2, below 128.
        start: where the fields begin.
        stop: where they end.
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
