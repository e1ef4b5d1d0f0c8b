"""inference.GRPCInferenceService: Open Inference Protocol v2, so that existing clients work unchanged."""

from collections.abc import Sequence
from dataclasses import replace
from importlib.metadata import version as installed_version

import numpy as np

from protos.inference import inference_pb2 as pb
from server.batcher import Rows
from server.catalog import Catalog, Served
from server.errors import InvalidRequest
from server.readiness import Readiness
from server.services.images import check_shape, raw_images
from server.services.table import CallContext, Method, Parts, Serialized, methods
from server.services.wire import FastPath, Plan, Surrounded, find_field, varint
from server.session import Outputs

INPUT, INPUT_TYPE, OUTPUT_TYPE = "images", "UINT8", "FP32"
RAW_OUTPUT_TAG = bytes([6 << 3 | 2])
UNSUPPORTED_PARAMETERS = ("classification", "shared_memory_region")
"""Parameters of a tensor that change what the answer is; ignoring them would answer something else."""


class Inference:
    """The service's functions, by the names of its RPCs."""

    def __init__(self, catalog: Catalog, readiness: Readiness, max_request_images: int) -> None:
        self._catalog = catalog
        self._readiness = readiness
        self._max_request_images = max_request_images

    def methods(self) -> list[Method]:
        """The service as a table."""
        table = methods(pb.DESCRIPTOR.services_by_name["GRPCInferenceService"], self)
        return [self._with_fast_path(method) if method.function == self.ModelInfer else method for method in table]

    async def ServerLive(self, request: pb.ServerLiveRequest, context: CallContext) -> pb.ServerLiveResponse:
        """True: the process answers."""
        return pb.ServerLiveResponse(live=True)

    async def ServerReady(self, request: pb.ServerReadyRequest, context: CallContext) -> pb.ServerReadyResponse:
        """As grpc.health.v1 says."""
        return pb.ServerReadyResponse(ready=self._readiness.ready)

    async def ModelReady(self, request: pb.ModelReadyRequest, context: CallContext) -> pb.ModelReadyResponse:
        """Whether this version, or any where none is named, is served."""
        served = self._catalog.entry(request.name).served
        wanted = _version(request.version)
        return pb.ModelReadyResponse(ready=served is not None and wanted in (0, served.bundle.manifest.version))

    async def ServerMetadata(
        self, request: pb.ServerMetadataRequest, context: CallContext
    ) -> pb.ServerMetadataResponse:
        """Name and version of this software."""
        return pb.ServerMetadataResponse(name="vouch", version=installed_version("vouch"))

    async def ModelMetadata(self, request: pb.ModelMetadataRequest, context: CallContext) -> pb.ModelMetadataResponse:
        """Tensors, and as properties the labels, the claim and the served accuracy."""
        served = self._catalog.find(request.name, _version(request.version))
        manifest = served.bundle.manifest
        tensor = pb.ModelMetadataResponse.TensorMetadata
        claim, recount = manifest.claim.accuracy, served.served
        return pb.ModelMetadataResponse(
            name=manifest.name,
            versions=[str(manifest.version)],
            platform="onnxruntime_onnx",
            inputs=[tensor(name=INPUT, datatype=INPUT_TYPE, shape=[-1, *manifest.input.shape])],
            outputs=[
                tensor(name=name, datatype=OUTPUT_TYPE, shape=[-1, len(manifest.labels)]) for name in Outputs._fields
            ],
            properties={
                "labels": "\n".join(manifest.labels),
                "digest": served.bundle.digest,
                "claim.correct": str(claim.correct),
                "claim.total": str(claim.total),
                "claim.accuracy": f"{claim.accuracy:.6f}",
                "served.correct": str(recount.correct),
                "served.total": str(recount.total),
                "served.accuracy": f"{recount.accuracy:.6f}",
            },
        )

    async def ModelInfer(self, request: pb.ModelInferRequest, context: CallContext) -> pb.ModelInferResponse:
        """Probabilities and logits; raw, or typed where the request was."""
        with self._catalog.find(request.model_name, _version(request.model_version)).lease() as served:
            names = _requested_outputs(request)
            images = self._images(request, served)
            outputs = Outputs(*await served.batcher.submit(images, context.deadline))._asdict()
            manifest = served.bundle.manifest
            response = pb.ModelInferResponse(
                model_name=manifest.name, model_version=str(manifest.version), id=request.id
            )
            for name in names:
                tensor = response.outputs.add(name=name, datatype=OUTPUT_TYPE, shape=outputs[name].shape)
                if request.raw_input_contents:
                    response.raw_output_contents.append(outputs[name].tobytes())
                else:
                    tensor.contents.fp32_contents.extend(outputs[name].ravel().tolist())
            return response

    def _with_fast_path(self, method: Method) -> Method:
        return replace(method, wire=FastPath(self._catalog, _find_pixels, self._plan, method))

    def _plan(self, request: pb.ModelInferRequest) -> Plan | None:
        """How requests like this one are answered; only those with raw pixels and no id of their own are alike."""
        if request.id or not request.raw_input_contents:
            return None
        served = self._catalog.find(request.model_name, _version(request.model_version))
        names, images = _requested_outputs(request), self._images(request, served)
        manifest = served.bundle.manifest
        shape = (len(images), len(manifest.labels))
        head = pb.ModelInferResponse(model_name=manifest.name, model_version=str(manifest.version))
        for name in names:
            head.outputs.add(name=name, datatype=OUTPUT_TYPE, shape=shape)
        places = [Outputs._fields.index(name) for name in names]
        before_each = RAW_OUTPUT_TAG + varint(4 * shape[0] * shape[1])
        before_first = head.SerializeToString() + before_each

        def encode(outputs: Rows) -> Parts:
            first, *others = (np.ascontiguousarray(outputs[place], "<f4").data for place in places)
            return (before_first, first, *(part for other in others for part in (before_each, other)))

        return Plan(served, images.shape, encode)

    def _images(self, request: pb.ModelInferRequest, served: Served) -> np.ndarray:
        if len(request.inputs) != 1 or request.inputs[0].name != INPUT:
            raise InvalidRequest(f"expected one input {INPUT!r}, got {[tensor.name for tensor in request.inputs]}")
        tensor = request.inputs[0]
        _check_parameters(tensor.parameters)
        if tensor.datatype != INPUT_TYPE:
            raise InvalidRequest(f"expected datatype {INPUT_TYPE} for {INPUT!r}, got {tensor.datatype!r}")
        expected = served.bundle.manifest.input
        if not request.raw_input_contents:
            return self._typed_images(tensor, served)
        if tensor.HasField("contents"):
            raise InvalidRequest("expected either contents or raw_input_contents, got both")
        if len(request.raw_input_contents) != 1:
            raise InvalidRequest(f"expected 1 entry in raw_input_contents, got {len(request.raw_input_contents)}")
        return raw_images(request.raw_input_contents[0], tensor.shape, expected, self._max_request_images)

    def _typed_images(self, tensor: pb.ModelInferRequest.InferInputTensor, served: Served) -> np.ndarray:
        check_shape(tensor.shape, served.bundle.manifest.input, self._max_request_images)
        filled = [field.name for field, _ in tensor.contents.ListFields()]
        if filled != ["uint_contents"]:
            raise InvalidRequest(f"expected {INPUT_TYPE} values in uint_contents, got {filled or 'no contents'}")
        values = np.array(tensor.contents.uint_contents, np.uint32)
        count = int(np.prod(tensor.shape, dtype=object))
        if len(values) != count:
            raise InvalidRequest(f"expected {count:,} values for shape {list(tensor.shape)}, got {len(values):,}")
        if values.max() > 255:
            raise InvalidRequest(f"expected {INPUT_TYPE} values from 0 to 255, got {values.max()}")
        return values.astype(np.uint8).reshape(tuple(tensor.shape))


def _find_pixels(request: Serialized) -> Surrounded | None:
    """The only entry of raw_input_contents, field 7."""
    return find_field(request, 7 << 3 | 2, 0, len(request))


def _requested_outputs(request: pb.ModelInferRequest) -> Sequence[str]:
    """The outputs asked for, in that order; all where none is named."""
    names = [output.name for output in request.outputs]
    unknown = [name for name in names if name not in Outputs._fields]
    if unknown or len(set(names)) != len(names):
        raise InvalidRequest(f"expected outputs among {list(Outputs._fields)}, each once; got {names}")
    for output in request.outputs:
        _check_parameters(output.parameters)
    return names or Outputs._fields


def _check_parameters(parameters: Sequence[str] | object) -> None:
    for name in UNSUPPORTED_PARAMETERS:
        if name in parameters:  # type: ignore[operator]  # a protobuf map, whose stub class is private
            raise InvalidRequest(f"parameter {name!r} is not supported")


def _version(text: str) -> int:
    """The version that a request names; 0 for whichever is served."""
    if not text:
        return 0
    if not text.isdecimal() or not text.isascii() or len(text) > 9 or int(text) == 0:
        raise InvalidRequest(f"expected a version that is a positive integer, got {text!r}")
    return int(text)
