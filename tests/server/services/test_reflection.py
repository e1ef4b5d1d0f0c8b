from typing import Any

import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from grpc_reflection.v1alpha import reflection_pb2 as pb

from tests.support.serving import Serving

Question = pb.ServerReflectionRequest
V1, V1ALPHA = (f"grpc.reflection.{version}.ServerReflection" for version in ("v1", "v1alpha"))


async def answers(serving: Serving, service: str, *questions: Any) -> list[Any]:
    """Of one stream, by a client that knows this service alone; both versions' messages are the same in bytes."""
    ask: Any = serving.channel.stream_stream(
        f"/{service}/ServerReflectionInfo",
        request_serializer=Question.SerializeToString,
        response_deserializer=pb.ServerReflectionResponse.FromString,
    )
    return [answer async for answer in ask(iter(questions))]


@pytest.mark.parametrize("version", [V1, V1ALPHA])
async def test_services_are_listed_and_each_of_them_is_described(serving: Serving, version: str) -> None:
    """A tool without .proto files finds out what there is to call, by either version of the protocol."""
    (listed,) = await answers(serving, version, Question(list_services=""))
    names = [service.name for service in listed.list_services_response.service]
    told = await answers(serving, version, *(Question(file_containing_symbol=name) for name in names))
    files = [FileDescriptorProto.FromString(one.file_descriptor_response.file_descriptor_proto[0]) for one in told]
    described = {
        f"{file.package}.{service.name}": [method.name for method in service.method]
        for file in files
        for service in file.service
    }

    assert names == ["grpc.health.v1.Health", V1, V1ALPHA, "inference.GRPCInferenceService", "vouch.v1.Classifier"]
    assert list(described) == names
    assert described["grpc.health.v1.Health"] in (["Check", "Watch", "List"], ["Check", "List", "Watch"])
    assert described[V1] == described[V1ALPHA] == ["ServerReflectionInfo"]
    assert "PredictStream" in described["vouch.v1.Classifier"]


async def test_what_is_not_served_is_not_described(serving: Serving) -> None:
    """NOT_FOUND, also for files that this process has for other reasons."""
    (unknown,) = await answers(serving, V1, Question(file_containing_symbol="google.protobuf.FileDescriptorProto"))

    assert (unknown.error_response.error_code, unknown.HasField("file_descriptor_response")) == (5, False)
