from collections.abc import Callable
from typing import Any

import grpc
import grpc.aio
import pytest
from google.protobuf.descriptor import FileDescriptor
from google.protobuf.descriptor_pb2 import DescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.empty_pb2 import Empty
from grpc_health.v1 import health_pb2

from tests.support.serving import Start
from vouch.protos.inference import inference_pb2
from vouch.protos.vouch.v1 import classifier_pb2
from vouch.server.rpc.context import CallContext
from vouch.server.rpc.method import methods
from vouch.server.services.classifier.service import Classifier
from vouch.server.services.contracts import with_list
from vouch.server.services.decoder import Decoder
from vouch.server.services.health import HealthListResponse
from vouch.server.services.oip.service import Inference
from vouch.server.services.predictor import Predictor
from vouch.server.serving.catalog import Catalog
from vouch.server.serving.gate import Gate
from vouch.server.serving.readiness import Readiness
from vouch.server.transport.limits import Listening


def made_up(*names: str) -> FileDescriptor:
    """A file with a service of these methods, as a release of somebody's package might have it."""
    file = FileDescriptorProto(name="made_up.proto", package="made_up", message_type=[DescriptorProto(name="Nothing")])
    service = file.service.add(name="Service")
    for name in names:
        service.method.add(name=name, input_type=".made_up.Nothing", output_type=".made_up.Nothing")
    described: FileDescriptor = DescriptorPool().AddSerializedFile(file.SerializeToString())
    return described


class Implementation:
    async def Known(self, request: Empty, context: CallContext) -> Empty:  # noqa: N802
        return Empty()


async def test_a_method_that_a_later_release_adds_is_unimplemented(start: Start) -> None:
    """The server starts, and answers all the others."""
    service = made_up("Known", "Later").services_by_name["Service"]
    server = await start(methods(service, Implementation()), Gate(), Listening())
    async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        call: Callable[[str], Any] = channel.unary_unary
        known = await call("/made_up.Service/Known")(b"", timeout=10)
        with pytest.raises(grpc.aio.AioRpcError) as failure:
            await call("/made_up.Service/Later")(b"", timeout=10)
    await server.stop()

    assert known == b""
    assert failure.value.code() is grpc.StatusCode.UNIMPLEMENTED


def test_each_method_of_our_own_contracts_has_a_function() -> None:
    """Only other people's services may have methods that we have not."""
    catalog, gate = Catalog(on_change=lambda: None), Gate()
    predictor = Predictor(catalog, Decoder(1, 1).decode, 1, 1000)
    tables = {
        classifier_pb2.DESCRIPTOR.services_by_name["Classifier"]: Classifier(catalog, gate, predictor).methods(),
        inference_pb2.DESCRIPTOR.services_by_name["GRPCInferenceService"]: Inference(
            catalog, gate, Readiness(), predictor
        ).methods(),
    }

    for service, table in tables.items():
        assert {method.path for method in table} == {
            f"/{service.full_name}/{method.name}" for method in service.methods
        }


def test_list_is_in_the_health_contract_whichever_release_is_installed() -> None:
    """It is added to a release without it; one that has it stays as it is."""
    file = FileDescriptorProto.FromString(health_pb2.DESCRIPTOR.serialized_pb)
    (service,) = file.service
    kept = [method for method in service.method if method.name != "List"]
    del service.method[:], file.message_type[2:]
    service.method.extend(kept)
    without: FileDescriptor = DescriptorPool().AddSerializedFile(file.SerializeToString())

    completed = with_list(without)
    again = with_list(completed)

    listed = completed.services_by_name["Health"].methods_by_name["List"]
    assert (listed.input_type.full_name, listed.output_type.full_name) == (
        "grpc.health.v1.HealthListRequest",
        HealthListResponse.DESCRIPTOR.full_name,
    )
    assert again.serialized_pb == completed.serialized_pb
