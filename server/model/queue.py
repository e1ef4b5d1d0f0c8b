"""The requests that wait for the model, and which are next."""

from collections import OrderedDict

from vouch.server.errors import DeadlineExpired
from vouch.server.model.request import Request, Slice

TOO_LATE = "the deadline passed before the images reached the model"


Lane = OrderedDict[Request, None]
"""Requests in order; any of them can be removed without a search."""


class BatchQueue:
    """First come, first served, in two lanes that take turns.

    A request longer than a batch takes several runs. Such requests have a lane of their own and are finished one after
    the other, which answers most of them sooner than taking turns. Every other batch begins with the short requests, so
    that these never wait for a long one to end.
    """

    def __init__(self, batch_images: int) -> None:
        self._batch_images = batch_images
        self._short, self._long = Lane(), Lane()
        self._next = (self._short, self._long)
        self.images = 0
        """Number of images that no run has taken yet."""

    def __bool__(self) -> bool:
        return bool(self._short or self._long)

    def add(self, request: Request) -> None:
        """Adds a request at the end."""
        self._lane(request)[request] = None
        self.images += request.left

    def remove(self, request: Request) -> None:
        """Drops the rest of a request; it may have left its lane already."""
        self._lane(request).pop(request, None)
        self.images -= request.left
        request.taken = len(request.images)

    def clear(self) -> list[Request]:
        """Removes and returns all waiting requests."""
        cleared = [*self._short, *self._long]
        for request in cleared:
            self.remove(request)
        return cleared

    def due(self) -> float:
        """When the first request has waited long enough for others, in the event loop's time."""
        return min(request.due for lane in self._next for request in lane)

    def take(self, now: float) -> list[Slice]:
        """The next batch; requests whose deadline has passed fail instead."""
        batch: list[Slice] = []
        room = self._batch_images
        for lane in self._next:
            while lane and room:
                request = next(iter(lane))
                if not request.answer.done() and request.deadline is not None and request.deadline <= now:
                    request.fail(DeadlineExpired(TOO_LATE))
                if request.answer.done():
                    del lane[request]  # its caller subtracts it from the count
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
