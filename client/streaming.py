"""Predictions for any number of images over streams: one after another, each with a deadline of its own.

What is on its way is bounded. Where a stream breaks, its oldest unanswered request is asked again by a call of its own,
and a new stream begins behind it: so every break has an answer or an end. Knows no label and no file.
"""

import time
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any

import grpc

from vouch.client.client import Client
from vouch.client.errors import CallFailed, explained
from vouch.client.images import Content
from vouch.client.messages import Predictions, predict_request, read_answer, read_predictions
from vouch.client.models import ModelVersion
from vouch.protos.vouch.v1 import classifier_pb2 as pb

MAX_REQUESTS = 32
MAX_IMAGES = 1024
MAX_BYTES = 16 << 20
"""On their way at once; a request alone may have more."""
SENDING_PART = 2
"""Of a stream's time: which part of it requests are sent in. The rest is for the answers."""
PAUSES_S = (0.25, 0.5, 1.0, 2.0)
"""Before a request is asked again for which the server had no room."""
MAX_DIGITS = 12
"""Of a number that a server tells."""
COUNTING_FIT_IMAGES = (("vouch-count-fit-images", "1"),)


@dataclass(frozen=True, eq=False)
class Asked:
    """A request."""

    start: int
    """The place of its first image among all."""
    images: Content

    @property
    def size(self) -> int:
        """In bytes."""
        return sum(map(len, self.images)) if isinstance(self.images, list) else self.images.nbytes


class _Left:
    """Requests that have not been answered, and are not on their way."""

    def __init__(self, asked: Iterable[Asked]) -> None:
        self._asked = iter(asked)
        self._again = deque[Asked]()

    def take(self) -> Asked | None:
        """The next one; None where there is none."""
        return self._again.popleft() if self._again else next(self._asked, None)

    def put_back(self, asked: Iterable[Asked]) -> None:
        """These were sent in vain, and come before all others."""
        self._again.extendleft(reversed(list(asked)))


@dataclass
class FitImages:
    """What the server says of images that the model was fitted to."""

    compared: int = 0
    """Images that were held against them; none where the model has no digests of them."""
    among: int = 0
    """Of those, how many the model was fitted to."""

    def sentence(self) -> str:
        """What they say against a count; empty where nothing is known, or where there is none of them."""
        if not self.among:
            return ""
        return (
            f"{self.among:,} of {self.compared:,} images are among those that the model was trained on: this count "
            "says little about new images"
        )

    def add(self, trailers: Iterable[tuple[str, str | bytes]] | None) -> None:
        """What a stream was told at its end."""
        told = dict(trailers or ())
        self.compared += _number(told.get("vouch-compared-images"))
        self.among += _number(told.get("vouch-fit-images"))


class Streams:
    """Asks one version of a model, and has the server count the images that it was fitted to."""

    def __init__(self, client: Client, version: ModelVersion) -> None:
        self._client = client
        self._version = version
        self._most_requests = MAX_REQUESTS
        self.fit_images = FitImages()
        """So far; complete when all answers have come."""

    def answers(self, asked: Iterable[Asked]) -> Iterator[tuple[Asked, Predictions | CallFailed]]:
        """Each request with its answer, or with what is wrong with that request, in order.

        Args:
            asked: taken as there is room for more on their way.

        Raises:
            CallFailed: the server is gone, or would answer so to every request.
            Exception: what `asked` raised.
        """
        left = _Left(asked)
        while (first := left.take()) is not None:
            sent = deque([first])
            try:
                yield from self._over_a_stream(sent, left)
            except grpc.RpcError:
                self._most_requests = max(1, self._most_requests // 2)  # perhaps it was too slow for so many
                oldest = sent.popleft()
                left.put_back(sent)
                yield oldest, self._alone(oldest)

    def _over_a_stream(self, sent: deque[Asked], left: _Left) -> Iterator[tuple[Asked, Predictions | CallFailed]]:
        """As many as there is time for.

        Args:
            sent: begins with the one that is sent first, and holds those without an answer.

        Raises:
            RpcError: the stream broke.
        """
        with self._client.calling() as (classifier, timeout_s):
            sending: SimpleQueue[pb.PredictStreamRequest | None] = SimpleQueue()
            last_s = time.monotonic() + timeout_s / SENDING_PART
            call = classifier.PredictStream(iter(sending.get, None), timeout=timeout_s, metadata=COUNTING_FIT_IMAGES)
            try:
                sending.put(self._message(sent[0]))
                while sent:
                    while self._has_room(sent) and time.monotonic() < last_s and (asked := left.take()) is not None:
                        sent.append(asked)
                        sending.put(self._message(asked))
                    answer = self._read(call, sent[0])
                    yield sent.popleft(), answer
                sending.put(None)
                with suppress(grpc.RpcError):  # all is answered
                    self._at_the_end(call)
            finally:
                sending.put(None)  # or a thread of gRPC's would wait for ever
                call.cancel()

    def _has_room(self, sent: deque[Asked]) -> bool:
        return (
            len(sent) < self._most_requests
            and sum(len(one.images) for one in sent) < MAX_IMAGES
            and sum(one.size for one in sent) < MAX_BYTES
        )

    def _message(self, asked: Asked) -> pb.PredictStreamRequest:
        return pb.PredictStreamRequest(request=self._request(asked))

    def _request(self, asked: Asked) -> pb.PredictRequest:
        return predict_request(asked.images, self._version.name, self._version.version)

    def _read(self, call: Any, asked: Asked) -> Predictions | CallFailed:
        if (response := next(call, None)) is None:
            server = self._client.server
            raise CallFailed(f"{server} ended a stream before it had answered all of it", grpc.StatusCode.INTERNAL)
        answer = read_answer(response, self._client.server)
        return self._alone(asked) if isinstance(answer, CallFailed) and not answer.is_of_the_request else answer

    def _alone(self, asked: Asked) -> Predictions | CallFailed:
        """The answer to a call of its own; again after a while where the server has no room for it."""
        for pause_s in (*PAUSES_S, None):
            try:
                with explained(self._client.server), self._client.calling() as (classifier, timeout_s):
                    return read_predictions(classifier.Predict(self._request(asked), timeout=timeout_s))
            except CallFailed as err:
                if err.is_of_the_request:
                    return err
                if err.code is not grpc.StatusCode.RESOURCE_EXHAUSTED or pause_s is None:
                    raise
                time.sleep(pause_s)
        raise AssertionError("the last one returns or raises")

    def _at_the_end(self, call: Any) -> None:
        """What the server says behind its last answer."""
        for _ in call:
            pass
        self.fit_images.add(call.trailing_metadata())


def _number(told: str | bytes | None) -> int:
    """Of a server that is not known to say it so: 0."""
    return int(told) if isinstance(told, str) and told.isdecimal() and len(told) < MAX_DIGITS else 0
