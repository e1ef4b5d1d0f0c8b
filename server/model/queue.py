"""What waits for the model, and who is next."""

from collections import OrderedDict

from vouch.server.errors import DeadlineExpired
from vouch.server.model.request import Request, Slice

TOO_LATE = "the deadline passed before the images reached the model"


Lane = OrderedDict[Request, None]
"""Requests in their order, of which any may leave without a search."""


class BatchQueue:
    """First come, first served, in two lanes that take turns.

    A request longer than a batch runs in several. Those stand in a lane of their own and are finished one after the
    other, which answers most of them sooner than a little of each in turn would; every other batch begins with the
    shorter ones, which so never wait for a long one to end.
    """

    def __init__(self, batch_images: int) -> None:
        self._batch_images = batch_images
        self._short, self._long = Lane(), Lane()
        self._next = (self._short, self._long)
        self.images = 0
        """That no run has taken yet."""

    def __bool__(self) -> bool:
        return bool(self._short or self._long)

    def add(self, request: Request) -> None:
        """At the end."""
        self._lane(request)[request] = None
        self.images += request.left

    def remove(self, request: Request) -> None:
        """Nobody waits for the rest of it any more; it may be gone from its place already."""
        self._lane(request).pop(request, None)
        self.images -= request.left
        request.taken = len(request.images)

    def clear(self) -> list[Request]:
        """All that waited."""
        cleared = [*self._short, *self._long]
        for request in cleared:
            self.remove(request)
        return cleared

    def due(self) -> float:
        """In the event loop's time: when the first of them has waited for others long enough."""
        return min(request.due for lane in self._next for request in lane)

    def take(self, now: float) -> list[Slice]:
        """The next batch; requests that are too late by now fail instead."""
        batch: list[Slice] = []
        room = self._batch_images
        for lane in self._next:
            while lane and room:
                request = next(iter(lane))
                if not request.answer.done() and request.deadline is not None and request.deadline <= now:
                    request.fail(DeadlineExpired(TOO_LATE))
                if request.answer.done():
                    del lane[request]  # its caller takes it off the count
                    continue
                part = request.images[request.taken : request.taken + room]
                batch.append(Slice(request, part, request.taken))
                request.taken += len(part)
                request.running += 1
                self.images -= len(part)
                room -= len(part)
                if not request.left:
                    del lane[request]
        if batch:
            self._next = self._next[::-1]
        return batch

    def _lane(self, request: Request) -> Lane:
        return self._long if len(request.images) > self._batch_images else self._short
