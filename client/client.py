"""Calls to a Vouch server, for programs: `Client`, and `AsyncClient` for asyncio.

A deadline on every call, and retries where nothing can go wrong twice: all calls are free of side effects, so one that
met an unavailable server is sent again, by gRPC itself.
"""

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self

import numpy as np

from vouch.client.address import server_address
from vouch.client.channel_options import CHANNEL_OPTIONS
from vouch.client.connections import Connections
from vouch.client.errors import CallFailed, explained
from vouch.client.images import Content, Images, take
from vouch.client.messages import (
    Evaluation,
    Predictions,
    predict_request,
    read_answer,
    read_evaluation,
    read_predictions,
)
from vouch.client.models import Model, read_model
from vouch.client.tls import Tls, async_channels, channels
from vouch.client.turns import UNSENDABLE, Turns
from vouch.protos.vouch.v1 import classifier_pb2 as pb
from vouch.protos.vouch.v1.classifier_pb2_grpc import ClassifierStub

DEFAULT_SERVER = "127.0.0.1:8081"
DEFAULT_TIMEOUT_S = 30.0
SERVING = b"\x08\x01"
"""A HealthCheckResponse that says so, as protobuf writes it; the request is empty. All that a client needs of
https://github.com/grpc/grpc/blob/master/doc/health-checking.md"""


class Client:
    """The way to a server, shared by any number of threads."""

    def __init__(
        self, server: str = DEFAULT_SERVER, timeout_s: float = DEFAULT_TIMEOUT_S, tls: Tls | None = None
    ) -> None:
        """
        Args:
            server: HOST or HOST:PORT, or any name that gRPC resolves. It is not contacted before the first call.
            timeout_s: the deadline of a call that sets none; a stream's, of the whole stream.
            tls: None for a server that speaks plaintext.

        Raises:
            ValueError: `server` is no such name.
            UnusableCertificate: a file of `tls` cannot be read, or is not what it should be.
        """
        self.server = server_address(server)
        self._timeout_s = timeout_s
        self._connections = Connections(channels(self.server, CHANNEL_OPTIONS, tls))
        self._input_shapes: dict[str, tuple[int, ...]] = {}

    def predict(  # a keyword for each field of the request
        self,
        images: Images,
        model: str = "",
        version: int = 0,
        top_k: int = 1,
        coverage: float = 0.0,
        timeout_s: float | None = None,
    ) -> Predictions:
        """Labels and probabilities for one image or several.

        Args:
            images: an array of uint8 pixels, of shape (H, W) or (H, W, C) for one image, (N, H, W) or (N, H, W, C) for
                several; or the bytes of an image file, or its path; or several of one kind. Where an array of
                three axes could be either, the model's input shape decides.
            model: may be empty where one model is served.
            version: 0 for whichever is served.
            top_k: how many classes to name for each image.
            coverage: also ask for label sets that contain the truth this often; one that the model promises.

        Returns:
            one Prediction for each image, in their order; for one image too: `client.predict("new.jpg")[0]`.

        Raises:
            CallFailed: with the gRPC status code and the server's reason.
            ValueError: no image, or no uint8 pixels, or another shape than the model's; nothing was sent.
            TypeError: something else than images.
            OSError: a file cannot be read.
        """
        request = predict_request(self._content(images, model), model, version, top_k, coverage)
        with explained(self.server), self._connections.one() as connection:
            return read_predictions(connection.classifier.Predict(request, timeout=timeout_s or self._timeout_s))

    def predict_stream(
        self,
        requests: Iterable[tuple[str, Images]],
        model: str = "",
        top_k: int = 1,
        coverage: float = 0.0,
        timeout_s: float | None = None,
    ) -> Iterator[tuple[str, Predictions | CallFailed]]:
        """Predict for many requests over one stream, answered in order.

        Args:
            requests: pairs of an id and images, as for `predict`, read as the stream takes them.

        Yields:
            the id, with the answer or with what was wrong with that request; the others go on.

        Raises:
            CallFailed: the stream as a whole ended by an error; a message over the server's limit ends it too.
            Exception: what `requests` raised, after the answers to what came before.
        """
        turns = Turns()

        def messages() -> Iterator[pb.PredictStreamRequest]:
            try:
                for name, images in requests:
                    try:
                        request = predict_request(self._content(images, model), model, 0, top_k, coverage)
                    except UNSENDABLE as err:
                        turns.unsendable(name, err)
                        continue
                    turns.sent()
                    yield pb.PredictStreamRequest(id=name, request=request)
            except Exception as err:  # raised here it would end in a thread of gRPC's
                turns.broken(err)

        with explained(self.server), self._connections.one() as connection:
            for answer in connection.classifier.PredictStream(messages(), timeout=timeout_s or self._timeout_s):
                yield from turns.before_an_answer()
                yield answer.id, read_answer(answer, self.server)
            yield from turns.at_the_end()

    def evaluate(self, model: str = "", timeout_s: float | None = None) -> Iterator[Evaluation]:
        """Claim and recount so far, after each batch of the bundle's validation split; the last one is the whole.

        Raises:
            CallFailed: as `predict`.
        """
        request = pb.EvaluateRequest(model=model)
        with explained(self.server), self._connections.one() as connection:
            responses = connection.classifier.Evaluate(request, timeout=timeout_s or self._timeout_s)
            yield from map(read_evaluation, responses)

    def model(self, name: str = "") -> Model:
        """What the server says of one model. Raises CallFailed."""
        with explained(self.server), self._connections.one() as connection:
            response = connection.classifier.GetModel(pb.GetModelRequest(model=name), timeout=self._timeout_s)
            return read_model(response.model)

    def models(self) -> list[Model]:
        """What the server says of all its models. Raises CallFailed."""
        with explained(self.server), self._connections.one() as connection:
            response = connection.classifier.ListModels(pb.ListModelsRequest(), timeout=self._timeout_s)
            return [read_model(model) for model in response.models]

    def ready(self) -> bool:
        """Whether the server serves at least one model. Raises CallFailed where it cannot be reached."""
        with explained(self.server), self._connections.one() as connection:
            return bool(connection.health(b"", timeout=self._timeout_s) == SERVING)

    @contextmanager
    def calling(self) -> Iterator[tuple[ClassifierStub, float]]:
        """For a call that lasts as long as the block: the methods, and the deadline to set. Raises gRPC's errors."""
        with self._connections.one() as connection:
            yield connection.classifier, self._timeout_s

    def _content(self, images: Images, model: str) -> Content:
        """What to send; asks for the model's input shape where that decides, once, and again where it does not fit."""
        taken = take(images)
        if not taken.fits(self._input_shapes.get(model, ())):
            self._input_shapes[model] = _input_shape(self.model(model))
        return taken.settled(self._input_shapes.get(model, ()))

    def close(self) -> None:
        """Ends the connections and the calls on them."""
        for channel in self._connections.channels:
            channel.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, err: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class AsyncClient:
    """The same for asyncio. Made and used within one event loop."""

    def __init__(
        self, server: str = DEFAULT_SERVER, timeout_s: float = DEFAULT_TIMEOUT_S, tls: Tls | None = None
    ) -> None:
        """As `Client`."""
        self.server = server_address(server)
        self._timeout_s = timeout_s
        self._connections = Connections(async_channels(self.server, CHANNEL_OPTIONS, tls))
        self._input_shapes: dict[str, tuple[int, ...]] = {}

    async def predict(  # as above
        self,
        images: Images,
        model: str = "",
        version: int = 0,
        top_k: int = 1,
        coverage: float = 0.0,
        timeout_s: float | None = None,
    ) -> Predictions:
        """As `Client.predict`; cancelling it cancels the call."""
        request = predict_request(await self._content(images, model), model, version, top_k, coverage)
        with explained(self.server), self._connections.one() as connection:
            return read_predictions(await connection.classifier.Predict(request, timeout=timeout_s or self._timeout_s))

    async def predict_stream(
        self,
        requests: AsyncIterable[tuple[str, Images]],
        model: str = "",
        top_k: int = 1,
        coverage: float = 0.0,
        timeout_s: float | None = None,
    ) -> AsyncIterator[tuple[str, Predictions | CallFailed]]:
        """As `Client.predict_stream`."""
        turns = Turns()

        async def messages() -> AsyncIterator[pb.PredictStreamRequest]:
            try:
                async for name, images in requests:
                    try:
                        request = predict_request(await self._content(images, model), model, 0, top_k, coverage)
                    except UNSENDABLE as err:
                        turns.unsendable(name, err)
                        continue
                    turns.sent()
                    yield pb.PredictStreamRequest(id=name, request=request)
            except Exception as err:
                turns.broken(err)

        with explained(self.server), self._connections.one() as connection:
            async for answer in connection.classifier.PredictStream(messages(), timeout=timeout_s or self._timeout_s):
                for turn in turns.before_an_answer():
                    yield turn
                yield answer.id, read_answer(answer, self.server)
            for turn in turns.at_the_end():
                yield turn

    async def evaluate(self, model: str = "", timeout_s: float | None = None) -> AsyncIterator[Evaluation]:
        """As `Client.evaluate`."""
        request = pb.EvaluateRequest(model=model)
        with explained(self.server), self._connections.one() as connection:
            async for response in connection.classifier.Evaluate(request, timeout=timeout_s or self._timeout_s):
                yield read_evaluation(response)

    async def model(self, name: str = "") -> Model:
        """As `Client.model`."""
        with explained(self.server), self._connections.one() as connection:
            response = await connection.classifier.GetModel(pb.GetModelRequest(model=name), timeout=self._timeout_s)
            return read_model(response.model)

    async def models(self) -> list[Model]:
        """As `Client.models`."""
        with explained(self.server), self._connections.one() as connection:
            response = await connection.classifier.ListModels(pb.ListModelsRequest(), timeout=self._timeout_s)
            return [read_model(model) for model in response.models]

    async def ready(self) -> bool:
        """As `Client.ready`."""
        with explained(self.server), self._connections.one() as connection:
            return bool(await connection.health(b"", timeout=self._timeout_s) == SERVING)

    async def _content(self, images: Images, model: str) -> Content:
        """As `Client._content`; files are read in a thread."""
        taken = take(images) if isinstance(images, np.ndarray) else await asyncio.to_thread(take, images)
        if not taken.fits(self._input_shapes.get(model, ())):
            self._input_shapes[model] = _input_shape(await self.model(model))
        return taken.settled(self._input_shapes.get(model, ()))

    async def close(self) -> None:
        """As `Client.close`."""
        for channel in self._connections.channels:
            await channel.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, err: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()


def _input_shape(model: Model) -> tuple[int, ...]:
    """Of the version that answers; empty while none does."""
    return model.live.input_shape if model.live is not None else ()
