"""vouch.v1.Classifier: predictions, and the models' claims and recounts."""

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import replace
from functools import partial
from weakref import WeakKeyDictionary

from vouch.protos.vouch.v1 import classifier_pb2 as pb
from vouch.server.errors import InvalidRequest
from vouch.server.rpc.context import CallContext
from vouch.server.rpc.fast import Span, find_field
from vouch.server.rpc.fast_stream import Envelope, NothingKnown, StreamPath, close_named, open_named
from vouch.server.rpc.long import read_long
from vouch.server.rpc.method import Method, Serialized, methods
from vouch.server.rpc.soon import Parts
from vouch.server.rpc.status import status_of
from vouch.server.rpc.stream import answer_in_order
from vouch.server.services.classifier.describe import accuracy_message, describe, recount_message
from vouch.server.services.classifier.encode import Labels, predict_writing, wishes_of
from vouch.server.services.classifier.evaluate import Evaluations
from vouch.server.services.fit_images import ASKED, Compared, FitImages
from vouch.server.services.images import Images, check_count, images_in
from vouch.server.services.label_sets import set_rule
from vouch.server.services.predictor import Plan, Predictor, UnaryPath
from vouch.server.serving.catalog import Catalog
from vouch.server.serving.gate import Gate
from vouch.server.serving.served import Served

STREAM_PATH = "/vouch.v1.Classifier/PredictStream"
INNER = (2 << 3 | 2,)
CONTENTS = ((3 << 3 | 2, 4 << 3 | 2), (1 << 3 | 2,))
"""Tags of the request within a stream's; of `raw` and `encoded` in it, and of the pixels and files in these."""


class Classifier:
    """The service's functions, by the names of its RPCs."""

    def __init__(self, catalog: Catalog, gate: Gate, predictor: Predictor) -> None:
        self._catalog = catalog
        self._gate = gate
        self._predictor = predictor
        self._evaluations = Evaluations(predictor.decode)
        self._fit_images = FitImages()
        self._labels: WeakKeyDictionary[Served, Labels] = WeakKeyDictionary()
        table = methods(pb.DESCRIPTOR.services_by_name["Classifier"], self)
        self._predict, self._stream, *self._others = table
        self._unary = UnaryPath(
            predictor, _find_pixels, lambda request: read_long(request, CONTENTS, self._predict.decode), self._ask
        )

    def methods(self) -> list[Method]:
        """The service as a table."""
        plain = StreamPath(self._unary, self._answer_serialized, ENVELOPE, self._stream, self._gate)

        def stream(
            pieces: AsyncIterator[Sequence[Serialized]], context: CallContext
        ) -> AsyncGenerator[list[Parts], None]:
            return self._compared(pieces, context) if "1" in context.caller.headers(ASKED) else plain(pieces, context)

        return [replace(self._predict, wire=self._unary), replace(self._stream, wire_stream=stream), *self._others]

    async def Predict(self, request: pb.PredictRequest, context: CallContext) -> pb.PredictResponse:
        """Labels and probabilities for a batch of images."""
        return pb.PredictResponse.FromString(b"".join(await self._unary.answer(request, None, context)))

    def PredictStream(
        self, requests: AsyncIterator[pb.PredictStreamRequest], context: CallContext
    ) -> AsyncGenerator[pb.PredictStreamResponse, None]:
        """Predict for each request of a stream, several concurrently, answered in order.

        When the server drains, the requests read so far are answered and the stream ends with UNAVAILABLE.
        """

        async def answer(request: pb.PredictStreamRequest) -> pb.PredictStreamResponse:
            return pb.PredictStreamResponse.FromString(b"".join(await self._answer(request, None, context)))

        return answer_in_order(requests, answer, self._gate)

    async def ListModels(self, request: pb.ListModelsRequest, context: CallContext) -> pb.ListModelsResponse:
        """All models, by name."""
        return pb.ListModelsResponse(models=[describe(entry) for entry in self._catalog.entries()])

    async def GetModel(self, request: pb.GetModelRequest, context: CallContext) -> pb.GetModelResponse:
        """One model."""
        return pb.GetModelResponse(model=describe(self._catalog.entry(request.model)))

    async def Evaluate(self, request: pb.EvaluateRequest, context: CallContext) -> AsyncIterator[pb.EvaluateResponse]:
        """The count so far, after each batch of the validation split; callers of one version share a count."""
        with self._catalog.find(request.model).lease() as served:
            context.counted_in = served.statistics.requests
            manifest = served.bundle.manifest
            claim = accuracy_message(manifest.claim.accuracy)
            async with aclosing(self._evaluations.counts(served, context.hold)) as counts:
                async for count in counts:
                    yield pb.EvaluateResponse(
                        model=manifest.name,
                        version=manifest.version,
                        claim=claim,
                        served=accuracy_message(count.served),
                        recount=recount_message(count.recount),
                    )

    def _ask(
        self, request: pb.PredictRequest, contents: Sequence[memoryview] | None, context: CallContext
    ) -> tuple[Plan, Images]:
        """The plan of a Predict request.

        Args:
            contents: its pixels or its files, if `read_long` has taken them out.
        """
        served = self._predictor.find(request.model, request.version, context)
        manifest = served.bundle.manifest
        wishes = wishes_of(manifest, request.top_k, set_rule(manifest, request.coverage))
        images = self._images(request, contents, served)
        labels = self._labels.get(served) or self._labels.setdefault(served, Labels(manifest))
        writing = predict_writing(manifest, labels, wishes, images.count, self._predictor.max_answer_bytes)
        return self._predictor.plan(served, images, wishes, writing), images

    def _images(self, request: pb.PredictRequest, contents: Sequence[memoryview] | None, served: Served) -> Images:
        expected, most = served.bundle.manifest.input, self._predictor.max_request_images
        if request.WhichOneof("images") == "raw":
            pixels = request.raw.pixels if contents is None else contents[-1]
            return images_in(pixels, request.raw.shape, expected, most)
        if request.WhichOneof("images") == "encoded":
            files = list(request.encoded.files) if contents is None else contents
            check_count(len(files), most)
            return Images(len(files), False, partial(self._predictor.decode, files, expected))
        raise InvalidRequest("expected images, raw or encoded; got neither")

    async def _compared(
        self, pieces: AsyncIterator[Sequence[Serialized]], context: CallContext
    ) -> AsyncGenerator[list[Parts], None]:
        """A stream that requests how many of its images are in the fit split; its trailers contain the count."""
        with context.hold.another() as hold:
            compared = Compared(self._fit_images, hold)
            answer = partial(self._answer_serialized, compared=compared)
            path = StreamPath(NothingKnown(), answer, ENVELOPE, self._stream, self._gate)
            async with aclosing(path(pieces, context)) as answers:
                async for ready in answers:
                    yield ready
            context.trailers = compared.trailers()

    async def _answer_serialized(
        self, message: Serialized, context: CallContext, compared: Compared | None = None
    ) -> Parts:
        request, contents = read_long(message, (INNER, *CONTENTS), self._stream.decode)
        return await self._answer(request, contents, context, compared)

    async def _answer(
        self,
        request: pb.PredictStreamRequest,
        contents: Sequence[memoryview] | None,
        context: CallContext,
        compared: Compared | None = None,
    ) -> Parts:
        """The response to one request of a stream; a failure is returned as its response."""
        name = pb.PredictStreamResponse(id=request.id).SerializeToString()
        try:
            plan, images = self._ask(request.request, contents, context)
            load = images.load if compared is None else compared.load(plan.served.bundle, images)
            parts = close_named(name, await self._predictor.answer(plan, load, context))
            context.check_answer(sum(map(len, parts)))
            return parts
        except Exception as err:
            return _failed(name, err, context)


def _failed(name: bytes, err: Exception, context: CallContext) -> Parts:
    status = status_of(err, STREAM_PATH)
    context.code = status.code
    failure = pb.Failure(code=status.code, message=status.message)
    return (name, pb.PredictStreamResponse(failure=failure).SerializeToString())


ENVELOPE = Envelope(open_named, close_named, _failed)


def _find_pixels(request: Serialized) -> Span | None:
    """Field 1 of field 3."""
    raw = find_field(request, 3 << 3 | 2, 0, len(request))
    return raw and find_field(request, 1 << 3 | 2, *raw)
