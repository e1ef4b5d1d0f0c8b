"""vouch.v1.Classifier: predictions, and what the models claim and reproduce."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import replace
from functools import partial
from struct import Struct

import numpy as np

from vouch.bundle.accuracy import Accuracy
from vouch.bundle.caveats import caveats
from vouch.bundle.manifest import Calibration
from vouch.bundle.wire_format import varint
from vouch.protos.vouch.v1 import classifier_pb2 as pb
from vouch.server.budget import Hold
from vouch.server.errors import InvalidRequest
from vouch.server.model.request import Rows
from vouch.server.model.session import Outputs
from vouch.server.rpc.method import CallContext, Method, Serialized, methods
from vouch.server.rpc.soon import Parts
from vouch.server.rpc.status import status_of
from vouch.server.rpc.stream import answer_in_order
from vouch.server.services.classifier.evaluate import Evaluations
from vouch.server.services.decoder import Decoder
from vouch.server.services.fast import FastPath, Plan, Surrounded, find_field
from vouch.server.services.fast_stream import Envelope, StreamPath, close_named, open_named
from vouch.server.services.images import check_count, raw_images
from vouch.server.services.label_sets import ranked, set_rule
from vouch.server.serving.catalog import Catalog, Entry, Served
from vouch.server.serving.gate import Gate

PROBABILITIES_TAG = bytes([5 << 3 | 2])
FLOAT = Struct("<f")


class Classifier:
    """The service's functions, by the names of its RPCs."""

    def __init__(self, catalog: Catalog, gate: Gate, decoder: Decoder, max_request_images: int) -> None:
        self._catalog = catalog
        self._gate = gate
        self._decoder = decoder
        self._max_request_images = max_request_images
        self._evaluations = Evaluations()

    def methods(self) -> list[Method]:
        """The service as a table."""
        predict, stream, *others = methods(pb.DESCRIPTOR.services_by_name["Classifier"], self)
        fast = FastPath(self._catalog, _find_pixels, self._plan, predict)
        fast_stream = StreamPath(fast, ENVELOPE, stream, self._answer, self._gate)
        return [replace(predict, wire=fast), replace(stream, wire_stream=fast_stream), *others]

    async def Predict(self, request: pb.PredictRequest, context: CallContext) -> pb.PredictResponse:
        """Labels and probabilities for a batch of images."""
        with self._catalog.find(request.model, request.version).lease() as served:
            context.counted_in = served.statistics.requests
            manifest = served.bundle.manifest
            sets_of = set_rule(manifest, request.coverage)
            images = await self._images(request, served, context.hold)
            outputs = Outputs(*await served.batcher.submit(images, context.deadline, context.hold.bytes))
            top_k = min(request.top_k or 1, len(manifest.labels))
            classes, probabilities = most_probable(outputs.probabilities, top_k)
            sizes, members = ranked(outputs.probabilities, sets_of(outputs.probabilities)) if sets_of else ((), ())
            return pb.PredictResponse(
                model=manifest.name,
                version=manifest.version,
                top_k=top_k,
                labels=[manifest.labels[k] for k in classes.ravel().tolist()],
                probabilities=probabilities.ravel().tolist(),
                set_sizes=sizes,
                set_labels=[manifest.labels[k] for k in members],
            )

    def PredictStream(
        self, requests: AsyncIterator[pb.PredictStreamRequest], context: CallContext
    ) -> AsyncGenerator[pb.PredictStreamResponse, None]:
        """Predict for each request of a stream, several at work at once, answered in order.

        When the server drains, what was read is answered and the stream ends UNAVAILABLE.
        """
        return answer_in_order(requests, partial(self._answer, context=context), self._gate)

    async def ListModels(self, request: pb.ListModelsRequest, context: CallContext) -> pb.ListModelsResponse:
        """All models, by name."""
        return pb.ListModelsResponse(models=[describe(entry) for entry in self._catalog.entries()])

    async def GetModel(self, request: pb.GetModelRequest, context: CallContext) -> pb.GetModelResponse:
        """One model."""
        return pb.GetModelResponse(model=describe(self._catalog.entry(request.model)))

    async def Evaluate(self, request: pb.EvaluateRequest, context: CallContext) -> AsyncIterator[pb.EvaluateResponse]:
        """The count so far after each batch of the validation split; callers of one version share a count."""
        with self._catalog.find(request.model).lease() as served:
            context.counted_in = served.statistics.requests
            manifest = served.bundle.manifest
            claim = _accuracy(manifest.claim.accuracy)
            async with aclosing(self._evaluations.counts(served, context.hold)) as counts:
                async for count in counts:
                    yield pb.EvaluateResponse(
                        model=manifest.name, version=manifest.version, claim=claim, served=_accuracy(count)
                    )

    def _plan(self, request: pb.PredictRequest) -> Plan | None:
        """How requests like this one are answered: raw pixels in, no label sets out."""
        served = self._catalog.find(request.model, request.version)
        manifest = served.bundle.manifest
        if request.WhichOneof("images") != "raw" or set_rule(manifest, request.coverage):
            return None
        raw = request.raw
        images = raw_images(raw.pixels, raw.shape, manifest.input, self._max_request_images)
        top_k = min(request.top_k or 1, len(manifest.labels))
        head = pb.PredictResponse(model=manifest.name, version=manifest.version, top_k=top_k).SerializeToString()
        entries = [pb.PredictResponse(labels=[label]).SerializeToString() for label in manifest.labels]
        before_probabilities = PROBABILITIES_TAG + varint(4 * len(images) * top_k)

        def encode_one(outputs: Rows) -> Parts:
            k = int(outputs[0].argmax())
            return (head, entries[k], before_probabilities, FLOAT.pack(outputs[0].item(k)))

        def encode_best(outputs: Rows) -> Parts:
            best = outputs[0].argmax(axis=1)
            labels = b"".join([entries[k] for k in best.tolist()])
            return (head, labels, before_probabilities, outputs[0].max(axis=1).data.cast("B"))

        def encode(outputs: Rows) -> Parts:
            classes, probabilities = most_probable(outputs[0], top_k)
            labels = b"".join([entries[k] for k in classes.ravel().tolist()])
            return (head, labels, before_probabilities, np.ascontiguousarray(probabilities).data.cast("B"))

        if top_k == 1:
            return Plan(served, images.shape, encode_one if len(images) == 1 else encode_best)
        return Plan(served, images.shape, encode)

    async def _images(self, request: pb.PredictRequest, served: Served, hold: Hold) -> np.ndarray:
        expected = served.bundle.manifest.input
        if request.WhichOneof("images") == "raw":
            return raw_images(request.raw.pixels, request.raw.shape, expected, self._max_request_images)
        if request.WhichOneof("images") == "encoded":
            check_count(len(request.encoded.files), self._max_request_images)
            return await self._decoder.decode(request.encoded.files, expected, hold)
        raise InvalidRequest("expected images, raw or encoded; got neither")

    async def _answer(self, request: pb.PredictStreamRequest, context: CallContext) -> pb.PredictStreamResponse:
        try:
            return pb.PredictStreamResponse(id=request.id, response=await self.Predict(request.request, context))
        except Exception as err:
            return pb.PredictStreamResponse(id=request.id, failure=_failure(err, context))


def _failure(err: Exception, context: CallContext) -> pb.Failure:
    status = status_of(err, "/vouch.v1.Classifier/PredictStream")
    context.code = status.code
    return pb.Failure(code=status.code, message=status.message)


def _failed(name: bytes, err: Exception, context: CallContext) -> Parts:
    return (name, pb.PredictStreamResponse(failure=_failure(err, context)).SerializeToString())


ENVELOPE = Envelope(open_named, close_named, _failed)


def _find_pixels(request: Serialized) -> Surrounded | None:
    """Field 1 of field 3."""
    raw = find_field(request, 3 << 3 | 2, 0, len(request))
    return raw and find_field(request, 1 << 3 | 2, *raw)


def most_probable(probabilities: np.ndarray, top_k: int) -> tuple[np.ndarray, np.ndarray]:
    """The most probable classes of each image, in falling order, and of equals the first.

    Args:
        probabilities: shape (N, K).
        top_k: 1 to K.

    Returns:
        class positions and their probabilities, each of shape (N, top_k).
    """
    if top_k == 1:
        return probabilities.argmax(axis=1)[:, np.newaxis], probabilities.max(axis=1)[:, np.newaxis]
    classes = np.argsort(-probabilities, axis=1, kind="stable")[:, :top_k]
    return classes, np.take_along_axis(probabilities, classes, axis=1)


def describe(entry: Entry) -> pb.Model:
    """A catalog's entry as a message."""
    refusals = [pb.Refusal(version=refusal.version, reason=refusal.reason) for refusal in entry.refusals]
    if entry.served is None:
        state = pb.STATE_VERIFYING if entry.verifying else pb.STATE_REFUSED
        return pb.Model(name=entry.name, state=state, refusals=refusals)
    bundle = entry.served.bundle
    manifest = bundle.manifest
    return pb.Model(
        name=entry.name,
        state=pb.STATE_SERVING,
        version=manifest.version,
        labels=manifest.labels,
        input_shape=manifest.input.shape,
        digest=bundle.digest,
        claim=_accuracy(manifest.claim.accuracy),
        served=_accuracy(entry.served.served),
        refusals=refusals,
        task=f"TASK_{manifest.task.upper()}",
        thresholds=manifest.thresholds,
        calibration=_calibration(manifest.calibration) if manifest.calibration else None,
        baseline=_accuracy(manifest.claim.baseline),
        caveats=[
            pb.Caveat(kind=caveat.kind, text=caveat.text)
            for caveat in caveats(manifest.claim, manifest.calibration, manifest.labels)
        ],
        decoding=pb.Decoding(**manifest.input.model_dump(include={"rules", "bits", "ground"})),
    )


def _calibration(calibration: Calibration) -> pb.Calibration:
    values = calibration.model_dump()
    return pb.Calibration(**values | {"coverages": [pb.Coverage(**coverage) for coverage in values["coverages"]]})


def _accuracy(count: Accuracy) -> pb.Accuracy:
    return pb.Accuracy(**count.model_dump())
