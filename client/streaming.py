"""Predictions for any number of images over streams: one stream after the other, each with its own deadline.

The number of unanswered requests is bounded. If a stream breaks, its oldest unanswered request is sent again in a
separate call, then a new stream begins with the next: so each break gives an answer or ends the run. Knows no label and
no file.
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
"""Limits for all unanswered requests together; a single request may have more."""
SENDING_PART = 2
"""Requests are sent in the first 1/SENDING_PART of a stream's time; the rest is for the answers."""
PAUSES_S = (0.25, 0.5, 1.0, 2.0)
"""Pauses before a request is sent again that the server refused because it was full."""
MAX_DIGITS = 12
"""A longer number from a server is ignored."""
COUNTING_FIT_IMAGES = (("vouch-count-fit-images", "1"),)


@dataclass(frozen=True, eq=False)
class Asked:
    """A request."""

    start: int
    """Position of its first image among all images."""
    images: Content

    @property
    def size(self) -> int:
        """Bytes."""
        return sum(map(len, self.images)) if isinstance(self.images, list) else self.images.nbytes


class _Left:
    """Requests that are still to be sent."""

    def __init__(self, asked: Iterable[Asked]) -> None:
        self._asked = iter(asked)
        self._again = deque[Asked]()

    def take(self) -> Asked | None:
        """The next request; None if there is none."""
        return self._again.popleft() if self._again else next(self._asked, None)

    def put_back(self, asked: Iterable[Asked]) -> None:
        """Requests that were sent without an answer; they come before all others."""
        self._again.extendleft(reversed(list(asked)))


@dataclass
class FitImages:
    """The server's count of images that the model was trained on."""

    compared: int = 0
    """Images that the server compared; 0 if the model has no digests of its training images."""
    among: int = 0
    """The compared images that the model was trained on."""

    def sentence(self) -> str:
        """A warning about the count; empty if none of the images is known to be a training image."""
        if not self.among:
            return ""
        return (
            f"{self.among:,} of {self.compared:,} images are among those that the model was trained on: this count "
            "says little about new images"
        )

    def add(self, trailers: Iterable[tuple[str, str | bytes]] | None) -> None:
        """Adds a stream's counts, which come as trailers at its end."""
        told = dict(trailers or ())
        self.compared += _number(told.get("vouch-compared-images"))
        self.among += _number(told.get("vouch-fit-images"))


class Streams:
    """Calls one version of a model, and makes the server count the images that it was trained on."""

    def __init__(self, client: Client, version: ModelVersion) -> None:
        self._client = client
        self._version = version
        self._most_requests = MAX_REQUESTS
        self.fit_images = FitImages()
        """The count so far; complete after the last answer."""

    def answers(self, asked: Iterable[Asked]) -> Iterator[tuple[Asked, Predictions | CallFailed]]:
        """Each request with its answer, or with its error, in order.

        Args:
            asked: the requests; taken one by one when more can be sent.

        Raises:
            CallFailed: the server cannot be reached, or would answer every request with this error.
            Exception: what `asked` raised.
        """
        left = _Left(asked)
        while (first := left.take()) is not None:
            sent = deque([first])
            try:
                yield from self._over_a_stream(sent, left)
            except grpc.RpcError:
                self._most_requests = max(1, self._most_requests // 2)  # it may be too slow for this many
                oldest = sent.popleft()
                left.put_back(sent)
                yield oldest, self._alone(oldest)

    def _over_a_stream(self, sent: deque[Asked], left: _Left) -> Iterator[tuple[Asked, Predictions | CallFailed]]:
        """The answers to as many requests as one stream has time for.

        Args:
            sent: the requests without an answer; begins with the first one to send.

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
                with suppress(grpc.RpcError):  # all requests are answered
                    self._at_the_end(call)
            finally:
                sending.put(None)  # else a thread of gRPC waits forever
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
            raise CallFailed(f"{server} ended a stream without answering all of its requests", grpc.StatusCode.INTERNAL)
        answer = read_answer(response, self._client.server)
        return self._alone(asked) if isinstance(answer, CallFailed) and not answer.is_of_the_request else answer

    def _alone(self, asked: Asked) -> Predictions | CallFailed:
        """The answer to a separate call; repeated after a pause while the server is full."""
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
        """Reads the trailers that follow the last answer."""
        for _ in call:
            pass
        self.fit_images.add(call.trailing_metadata())


def _number(told: str | bytes | None) -> int:
    """The number in a trailer; 0 if it is missing or not a number."""
    return int(told) if isinstance(told, str) and told.isdecimal() and len(told) < MAX_DIGITS else 0
