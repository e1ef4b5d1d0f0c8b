"""Streams that go on one after another, without a server."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import grpc
import numpy as np
import pytest

from tests.support.tiny import LABELS
from vouch.bundle.accuracy import Accuracy
from vouch.client.errors import CallFailed
from vouch.client.messages import Predictions
from vouch.client.models import ModelVersion
from vouch.client.streaming import MAX_IMAGES, MAX_REQUESTS, Asked, Streams
from vouch.protos.vouch.v1 import classifier_pb2 as pb

VERSION = ModelVersion(
    "tiny", 3, "live", "", LABELS, (4, 4), Accuracy(correct=1, total=1), Accuracy(correct=1, total=1)
)
BUSY, GONE, BAD = grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.INVALID_ARGUMENT


class Broke(grpc.RpcError):
    """What gRPC raises."""

    def __init__(self, code: grpc.StatusCode) -> None:
        super().__init__(code)
        self._code = code

    def code(self) -> grpc.StatusCode:
        return self._code

    def details(self) -> str:
        return "as the test has it"


class Server:
    """Answers requests of one file by the file's text; some of them otherwise."""

    server = "here"

    def __init__(
        self,
        breaks: dict[str, grpc.StatusCode] | None = None,
        fails: dict[str, list[grpc.StatusCode]] | None = None,
        told: tuple[tuple[str, str], ...] = (),
    ) -> None:
        """
        Args:
            breaks: file -> how a stream ends that comes to it.
            fails: file -> what is answered to it one time after the other, before it is answered well.
            told: behind each stream.
        """
        self._breaks, self._fails, self._told = breaks or {}, fails or {}, told
        self.asked = Counter[str]()
        self.alone: list[str] = []
        self.streams: list[int] = []
        self.most_waiting = 0

    @contextmanager
    def calling(self) -> Iterator[tuple["Server", float]]:
        yield self, 60.0

    def PredictStream(  # noqa: N802
        self, requests: Iterator[pb.PredictStreamRequest], timeout: float, metadata: Any
    ) -> "Stream":
        assert metadata == (("vouch-count-fit-images", "1"),)
        self.streams.append(0)
        return Stream(self, requests, self._told)

    def Predict(self, request: pb.PredictRequest, timeout: float) -> pb.PredictResponse:  # noqa: N802
        name = request.encoded.files[0].decode()
        self.alone.append(name)
        if (code := self._failure(name)) is not None:
            raise Broke(code)
        return self._answer(request)

    def in_a_stream(self, request: pb.PredictStreamRequest) -> pb.PredictStreamResponse:
        name = request.request.encoded.files[0].decode()
        self.asked[name] += 1
        if name in self._breaks:
            raise Broke(self._breaks[name])
        self.streams[-1] += 1
        if (code := self._failure(name)) is not None:
            return pb.PredictStreamResponse(failure=pb.Failure(code=code.value[0], message="as the test has it"))
        return pb.PredictStreamResponse(response=self._answer(request.request))

    def _failure(self, name: str) -> grpc.StatusCode | None:
        codes = self._fails.get(name)
        return codes.pop(0) if codes else None

    def _answer(self, request: pb.PredictRequest) -> pb.PredictResponse:
        assert (request.model, request.version) == ("tiny", 3)
        labels = [file.decode() for file in request.encoded.files]
        return pb.PredictResponse(model="tiny", version=3, top_k=1, labels=labels, probabilities=[1.0] * len(labels))


class Stream:
    def __init__(self, server: Server, requests: Iterator[pb.PredictStreamRequest], told: Any) -> None:
        self._server, self._requests, self._told = server, requests, told

    def __iter__(self) -> "Stream":
        return self

    def __next__(self) -> pb.PredictStreamResponse:
        return self._server.in_a_stream(next(self._requests))

    def trailing_metadata(self) -> Any:
        return self._told

    def cancel(self) -> None:
        """Nothing."""


def streams(server: Server) -> Streams:
    client: Any = server
    return Streams(client, VERSION)


def files(count: int) -> list[Asked]:
    return [Asked(row, [f"file {row}".encode()]) for row in range(count)]


def labels(asked: list[Asked], server: Server) -> list[str]:
    """The answers to all; a refusal as its code."""
    found = list(streams(server).answers(asked))
    assert [one.start for one, _ in found] == [one.start for one in asked]
    return [answer[0].label if isinstance(answer, Predictions) else answer.code.name for _, answer in found]


def test_answers_come_in_order_over_one_stream() -> None:
    """However many requests there are; what is wrong with one is its answer."""
    server = Server(fails={"file 7": [BAD]})

    found = labels(files(100), server)

    assert found == [f"file {row}" if row != 7 else "INVALID_ARGUMENT" for row in range(100)]
    assert server.streams == [100]
    assert server.alone == []


def test_a_stream_that_breaks_goes_on_behind_the_request_that_broke_it() -> None:
    """Which is asked alone; no request is left out, and none is answered twice."""
    server = Server(breaks={"file 5": GONE, "file 6": GONE, "file 40": BUSY})

    found = labels(files(50), server)

    assert found == [f"file {row}" for row in range(50)]
    assert server.alone == ["file 5", "file 6", "file 40"]
    assert server.streams == [5, 0, 33, 9]


def test_a_request_that_the_server_has_no_room_for_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Alone and after a pause, and the others go on; when it has none again and again, that is the end."""
    paused = list[float]()
    monkeypatch.setattr("vouch.client.streaming.time.sleep", paused.append)
    server = Server(fails={"file 1": [BUSY, BUSY]})

    found = labels(files(4), server)

    assert (found, server.alone, len(paused)) == ([f"file {row}" for row in range(4)], ["file 1"] * 2, 1)
    with pytest.raises(CallFailed, match="RESOURCE_EXHAUSTED"):
        labels(files(4), Server(fails={"file 1": [BUSY] * 99}))


def test_what_would_be_answered_to_every_request_is_the_end() -> None:
    """After it was asked once more, alone."""
    server = Server(breaks={f"file {row}": GONE for row in range(9)}, fails={"file 0": [GONE]})

    with pytest.raises(CallFailed, match="UNAVAILABLE"):
        labels(files(9), server)
    assert server.alone == ["file 0"]


def test_a_stream_is_given_time_for_its_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """No request is sent on a stream whose time for sending is over; the next ones go on another."""
    monkeypatch.setattr("vouch.client.streaming.SENDING_PART", 1e30)
    server = Server()

    assert labels(files(5), server) == [f"file {row}" for row in range(5)]
    assert server.streams == [1] * 5


@pytest.mark.parametrize(
    ("images", "most"),
    [
        ([b"a"], MAX_REQUESTS),
        (np.zeros((MAX_IMAGES // 4, 2, 2), np.uint8), 4),
        ([bytes(500)], 2),
        ([bytes(2000)], 1),
    ],
)
def test_what_is_on_its_way_is_bounded(images: Any, most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """In requests, images and bytes; a request alone may have more."""
    if isinstance(images, list) and len(images[0]) > 1:
        monkeypatch.setattr("vouch.client.streaming.MAX_BYTES", 1000)
    taken = answered = 0
    ahead = list[int]()

    def asked() -> Iterator[Asked]:
        nonlocal taken
        for row in range(3 * MAX_REQUESTS):
            taken += 1
            ahead.append(taken - answered)
            yield Asked(row, images)

    class Answering(Server):
        def in_a_stream(self, request: pb.PredictStreamRequest) -> pb.PredictStreamResponse:
            return pb.PredictStreamResponse(response=pb.PredictResponse(top_k=1))

    for _ in streams(Answering()).answers(asked()):
        answered += 1

    assert max(ahead) == most
    assert answered == 3 * MAX_REQUESTS


def test_the_counts_of_all_streams_are_added_up() -> None:
    """Of those whose end was reached; what is no number counts nothing."""
    told = (("vouch-compared-images", "200"), ("vouch-fit-images", "3"), ("other", "9"))
    server = Server(breaks={"file 3": GONE}, told=told)
    asking = streams(server)
    for _ in asking.answers(files(9)):
        pass
    strange = streams(Server(told=(("vouch-compared-images", "9" * 50), ("vouch-fit-images", "-1"))))
    for _ in strange.answers(files(2)):
        pass

    assert (asking.fit_images.compared, asking.fit_images.among) == (200, 3)
    assert (strange.fit_images.compared, strange.fit_images.among) == (0, 0)


def test_what_the_callers_own_requests_raise_is_raised_here() -> None:
    """After the answers to what was sent before have been given up."""

    def asked() -> Iterator[Asked]:
        yield from files(2)
        raise ValueError("no more files")

    with pytest.raises(ValueError, match="no more files"):
        list(streams(Server()).answers(asked()))
