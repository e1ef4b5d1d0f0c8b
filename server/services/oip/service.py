"""inference.GRPCInferenceService: Open Inference Protocol v2 and Triton's extensions, for existing clients."""

from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import replace
from typing import Any

from vouch import __version__
from vouch.protos.inference import inference_pb2 as pb
from vouch.server.errors import InvalidRequest, quoted
from vouch.server.rpc.context import CallContext
from vouch.server.rpc.fast_stream import Envelope, StreamPath, close_named
from vouch.server.rpc.long import take_out
from vouch.server.rpc.method import Method, Serialized, methods
from vouch.server.rpc.soon import Parts
from vouch.server.rpc.status import status_of
from vouch.server.rpc.stream import answer_in_order
from vouch.server.services.images import Images
from vouch.server.services.oip.metadata import model_metadata
from vouch.server.services.oip.model_config import model_config
from vouch.server.services.oip.repository import check_repository, index, loading_not_allowed
from vouch.server.services.oip.request import (
    check_request_parameters,
    find_pixels,
    requested_images,
    requested_outputs,
)
from vouch.server.services.oip.response import infer_writing, wishes_of
from vouch.server.services.oip.statistics import Total, counted_here, model_statistics, served_versions
from vouch.server.services.oip.typed import read_request
from vouch.server.services.predictor import Plan, Predictor, UnaryPath
from vouch.server.serving.catalog import Catalog
from vouch.server.serving.gate import Gate
from vouch.server.serving.readiness import Readiness

EXTENSIONS = ("classification", "model_configuration", "model_repository", "statistics")
"""The supported extensions of Triton, in Triton's spelling."""
STREAM_PATH = "/inference.GRPCInferenceService/ModelStreamInfer"
END_STREAM_BY_ERROR = "triton_grpc_error"
"""Metadata of a stream: `true` if an error is to end it with its status."""
FINAL_RESPONSE = "triton_final_response"
FINAL = pb.ModelInferResponse(parameters={FINAL_RESPONSE: pb.InferParameter(bool_param=True)}).SerializeToString()
RAW_CONTENTS = ((7 << 3 | 2,),)
"""Tags of the field of raw tensors in a request."""
SERVICE = pb.DESCRIPTOR.services_by_name["GRPCInferenceService"]


class Inference:
    """The service's functions, by the names of its RPCs."""

    def __init__(
        self, catalog: Catalog, gate: Gate, readiness: Readiness, predictor: Predictor, total: Total | None = None
    ) -> None:
        """
        Args:
            total: returns the counts of all workers; None if there is only this one.
        """
        self._total = total or counted_here(catalog)
        self._catalog = catalog
        self._gate = gate
        self._readiness = readiness
        self._predictor = predictor
        self._table = {method.function: method for method in methods(SERVICE, self)}
        self._unary = UnaryPath(predictor, find_pixels, self._read, self._ask)

    def methods(self) -> list[Method]:
        """The service as a table."""
        infer, stream = self._table[self.ModelInfer], self._table[self.ModelStreamInfer]
        path = StreamPath(self._unary, self._answer_serialized, ENVELOPE, stream, self._gate)
        fast = {infer.function: replace(infer, wire=self._unary), stream.function: replace(stream, wire_stream=path)}
        return list((self._table | fast).values())

    async def ModelInfer(self, request: pb.ModelInferRequest, context: CallContext) -> pb.ModelInferResponse:
        """Probabilities and logits, or their highest classes; as raw or typed contents, like the request."""
        return pb.ModelInferResponse.FromString(b"".join(await self._unary.answer(request, None, context)))

    def ModelStreamInfer(
        self, requests: AsyncIterator[pb.ModelInferRequest], context: CallContext
    ) -> AsyncGenerator[pb.ModelStreamInferResponse, None]:
        """ModelInfer for each request of a stream, several concurrently, answered in order.

        When the server drains, the requests read so far are answered and the stream ends with UNAVAILABLE.
        """

        async def answer(request: pb.ModelInferRequest) -> pb.ModelStreamInferResponse:
            return pb.ModelStreamInferResponse.FromString(b"".join(await self._answer(request, None, context)))

        return answer_in_order(requests, answer, self._gate)

    async def ServerLive(self, request: pb.ServerLiveRequest, context: CallContext) -> pb.ServerLiveResponse:
        """True: the process answers."""
        return pb.ServerLiveResponse(live=True)

    async def ServerReady(self, request: pb.ServerReadyRequest, context: CallContext) -> pb.ServerReadyResponse:
        """The same as grpc.health.v1."""
        return pb.ServerReadyResponse(ready=self._readiness.ready)

    async def ModelReady(self, request: pb.ModelReadyRequest, context: CallContext) -> pb.ModelReadyResponse:
        """Whether this version is served; without a version, whether the live one is."""
        entry, wanted = self._catalog.entry(request.name), _version(request.version)
        ready = wanted in {one.version for one in entry.versions} if wanted else entry.served is not None
        return pb.ModelReadyResponse(ready=ready)

    async def ServerMetadata(
        self, request: pb.ServerMetadataRequest, context: CallContext
    ) -> pb.ServerMetadataResponse:
        """Name and version of this software, and its extensions."""
        return pb.ServerMetadataResponse(name="vouch", version=__version__, extensions=EXTENSIONS)

    async def ModelMetadata(self, request: pb.ModelMetadataRequest, context: CallContext) -> pb.ModelMetadataResponse:
        """The tensors, and the labels, the claim and the served accuracy as properties."""
        served = self._catalog.find(request.name, _version(request.version))
        return model_metadata(served, [one.version for one in self._catalog.entry(served.name).versions])

    async def ModelConfig(self, request: pb.ModelConfigRequest, context: CallContext) -> pb.ModelConfigResponse:
        """The same in the form of Triton's clients, and how requests are batched."""
        served = self._catalog.find(request.name, _version(request.version))
        return pb.ModelConfigResponse(config=model_config(served, self._predictor.max_request_images))

    async def ModelStatistics(
        self, request: pb.ModelStatisticsRequest, context: CallContext
    ) -> pb.ModelStatisticsResponse:
        """All workers' counts of one version, or of all served ones, since each was installed."""
        served = served_versions(self._catalog, request.name, _version(request.version))
        versions = [(one.bundle.manifest.name, one.bundle.manifest.version) for one in served]
        total = await self._total()
        return pb.ModelStatisticsResponse(model_stats=[model_statistics(*one, total.of(*one)) for one in versions])

    async def RepositoryIndex(
        self, request: pb.RepositoryIndexRequest, context: CallContext
    ) -> pb.RepositoryIndexResponse:
        """All known versions, or only the served ones."""
        check_repository(request.repository_name)
        return pb.RepositoryIndexResponse(models=index(self._catalog, request.ready))

    async def RepositoryModelLoad(
        self, request: pb.RepositoryModelLoadRequest, context: CallContext
    ) -> pb.RepositoryModelLoadResponse:
        """Refused: the models folder decides."""
        check_repository(request.repository_name)
        raise loading_not_allowed()

    async def RepositoryModelUnload(
        self, request: pb.RepositoryModelUnloadRequest, context: CallContext
    ) -> pb.RepositoryModelUnloadResponse:
        """Refused: the models folder decides."""
        check_repository(request.repository_name)
        raise loading_not_allowed()

    def _read(self, request: Serialized) -> tuple[pb.ModelInferRequest, Serialized | None]:
        """The message, and what was left out of it: typed pixels as they were written, or raw ones."""
        decode = self._table[self.ModelInfer].decode
        taken = take_out(request, RAW_CONTENTS)
        if taken is None:
            return read_request(request, decode)
        message: Any = decode(taken[0])
        message.raw_input_contents.extend([b""] * len(taken[1]))
        return message, taken[1][0]

    def _ask(
        self, request: pb.ModelInferRequest, left_out: Serialized | None, context: CallContext
    ) -> tuple[Plan, Images]:
        """The plan of a ModelInfer request; only requests without an id share a plan."""
        served = self._predictor.find(request.model_name, _version(request.model_version), context)
        manifest = served.bundle.manifest
        check_request_parameters(request.parameters)
        wanted = requested_outputs(request)
        images = requested_images(request, left_out, manifest.input, self._predictor.max_request_images)
        writing = infer_writing(request, manifest, wanted, images.count, self._predictor.max_answer_bytes)
        return self._predictor.plan(served, images, wishes_of(wanted, manifest), writing, not request.id), images

    async def _answer_serialized(self, message: Serialized, context: CallContext) -> Parts:
        return await self._answer(*self._read(message), context)

    async def _answer(self, request: pb.ModelInferRequest, written: Serialized | None, context: CallContext) -> Parts:
        """The response to one request of a stream; raises only if an error is to end the stream."""
        try:
            parts = _close(b"", await self._unary.answer(request, written, context))
            context.check_answer(sum(map(len, parts)))
            return parts
        except Exception as err:
            return (_failure(request.id, err, context).SerializeToString(),)


def _failure(request_id: str, err: Exception, context: CallContext) -> pb.ModelStreamInferResponse:
    """The response for an error; raises the error if it is to end the stream."""
    if "true" in context.caller.headers(END_STREAM_BY_ERROR):
        raise err
    status = status_of(err, STREAM_PATH)
    context.code = status.code
    return pb.ModelStreamInferResponse(
        error_message=status.message, infer_response=pb.ModelInferResponse(id=request_id)
    )


def _open(message: Serialized) -> tuple[bytes, Serialized]:
    """The whole message is the unary request."""
    return b"", message


def _close(name: bytes, inner: Parts) -> Parts:
    return close_named(name, (*inner, FINAL))


def _failed(_name: bytes, err: Exception, context: CallContext) -> Parts:
    return (_failure("", err, context).SerializeToString(),)  # only requests without an id take the fast path


ENVELOPE = Envelope(_open, _close, _failed)


def _version(text: str) -> int:
    """The version that a request names; 0 for the live one."""
    if not text:
        return 0
    if not text.isdecimal() or not text.isascii() or len(text) > 9 or int(text) == 0:
        raise InvalidRequest(f"expected a version that is a positive integer, got {quoted(text)}")
    return int(text)
