"""Calls to a Vouch server, for programs: `Client`, and `AsyncClient` for asyncio.

Every call has a deadline. Calls have no side effects, so gRPC retries a call if the server was unavailable.
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
"""A HealthCheckResponse with the status SERVING, serialized; the request is empty. A client needs no more of
https://github.com/grpc/grpc/blob/master/doc/health-checking.md"""


class Client:
    """A server's client. Any number of threads can share it."""

    def __init__(
        self, server: str = DEFAULT_SERVER, timeout_s: float = DEFAULT_TIMEOUT_S, tls: Tls | None = None
    ) -> None:
        """
        Args:
            server: HOST or HOST:PORT, or any name that gRPC resolves. The first call connects.
            timeout_s: the default deadline of a call, or of a whole stream.
            tls: None for plaintext.

        Raises:
            ValueError: `server` is not such a name.
            UnusableCertificate: a file of `tls` cannot be read, or has the wrong content.
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
                several; or the bytes of an image file, or its path; or a list of one of these kinds. If an array of
                three axes could be either, the model's input shape decides.
                model: may be empty if the server serves only one.
                version: 0 for the live version.
                top_k: the number of classes to return for each image.
                coverage: also return label sets that contain the right label this often. The model must promise it.

        Returns:
            one Prediction per image, in order; also for a single image: `client.predict("new.jpg")[0]`.

        Raises:
            CallFailed: the call failed; has the gRPC status code and the server's reason.
            ValueError: no images, pixels that are not uint8, or not the model's shape; nothing was sent.
            TypeError: not images.
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
            requests: pairs of an id and images, as for `predict`; read while the stream sends.

        Yields:
            the id, with the answer or with the error of this request; the other requests continue.

        Raises:
            CallFailed: the whole stream failed, also because of a message over the server's limit.
            Exception: what `requests` raised, after the answers to the earlier requests.
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
            except Exception as err:  # if raised here, a thread of gRPC would swallow it
                turns.broken(err)

        with explained(self.server), self._connections.one() as connection:
            for answer in connection.classifier.PredictStream(messages(), timeout=timeout_s or self._timeout_s):
                yield from turns.before_an_answer()
                yield answer.id, read_answer(answer, self.server)
            yield from turns.at_the_end()

    def evaluate(self, model: str = "", timeout_s: float | None = None) -> Iterator[Evaluation]:
        """The claim, and the recount so far, after each batch of the bundle's validation split; the last is complete.

        Raises:
            CallFailed: as `predict`.
        """
        request = pb.EvaluateRequest(model=model)
        with explained(self.server), self._connections.one() as connection:
            responses = connection.classifier.Evaluate(request, timeout=timeout_s or self._timeout_s)
            yield from map(read_evaluation, responses)

    def model(self, name: str = "") -> Model:
        """The server's description of one model. Raises CallFailed."""
        with explained(self.server), self._connections.one() as connection:
            response = connection.classifier.GetModel(pb.GetModelRequest(model=name), timeout=self._timeout_s)
            return read_model(response.model)

    def models(self) -> list[Model]:
        """The server's descriptions of all its models. Raises CallFailed."""
        with explained(self.server), self._connections.one() as connection:
            response = connection.classifier.ListModels(pb.ListModelsRequest(), timeout=self._timeout_s)
            return [read_model(model) for model in response.models]

    def ready(self) -> bool:
        """Whether the server serves at least one model. Raises CallFailed if it cannot be reached."""
        with explained(self.server), self._connections.one() as connection:
            return bool(connection.health(b"", timeout=self._timeout_s) == SERVING)

    @contextmanager
    def calling(self) -> Iterator[tuple[ClassifierStub, float]]:
        """The stub and the deadline for one call inside the block. Raises gRPC's errors."""
        with self._connections.one() as connection:
            yield connection.classifier, self._timeout_s

    def _content(self, images: Images, model: str) -> Content:
        """What to send. If the model's input shape decides, requests it once, and again if it does not fit."""
        taken = take(images)
        if not taken.fits(self._input_shapes.get(model, ())):
            self._input_shapes[model] = _input_shape(self.model(model))
        return taken.settled(self._input_shapes.get(model, ()))

    def close(self) -> None:
        """Closes the connections and cancels their calls."""
        for channel in self._connections.channels:
            channel.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, err: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class AsyncClient:
    """`Client` for asyncio. Created and used in one event loop."""

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
    """The live version's input shape; empty if no version is live."""
    return model.live.input_shape if model.live is not None else ()
