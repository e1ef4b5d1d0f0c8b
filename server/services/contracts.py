"""The contracts of gRPC's own services, for any installed release of their packages.

Earlier releases of grpcio-health-checking lack `List`, and grpcio-reflection has only v1alpha. The missing parts are
added to copies of their descriptors, in our own descriptor pools: in protobuf's default pool, two files that define the
same names are an error, and a later release will define them.
"""

from collections.abc import Iterable

from google.protobuf import text_format
from google.protobuf.descriptor import FileDescriptor, ServiceDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2

LIST_MESSAGES = """
message_type { name: "HealthListRequest" }
message_type {
  name: "HealthListResponse"
  field {
    name: "statuses"
    number: 1
    label: LABEL_REPEATED
    type: TYPE_MESSAGE
    type_name: ".grpc.health.v1.HealthListResponse.StatusesEntry"
  }
  nested_type {
    name: "StatusesEntry"
    field { name: "key" number: 1 label: LABEL_OPTIONAL type: TYPE_STRING }
    field {
      name: "value"
      number: 2
      label: LABEL_OPTIONAL
      type: TYPE_MESSAGE
      type_name: ".grpc.health.v1.HealthCheckResponse"
    }
    options { map_entry: true }
  }
}
"""
LIST = 'name: "List" input_type: ".grpc.health.v1.HealthListRequest" output_type: ".grpc.health.v1.HealthListResponse"'


def with_list(health: FileDescriptor) -> FileDescriptor:
    """The contract of grpc.health.v1, with `List` added if it is missing."""
    file = _copy(health)
    (service,) = file.service
    if "List" not in {method.name for method in service.method}:
        text_format.Merge(LIST_MESSAGES, file)
        text_format.Merge(LIST, service.method.add())
    return _in_a_pool(file)


def as_v1(reflection: FileDescriptor) -> FileDescriptor:
    """The contract of grpc.reflection.v1 from that of v1alpha: they differ only in the name."""
    return _in_a_pool(text_format.Parse(str(_copy(reflection)).replace("v1alpha", "v1"), FileDescriptorProto()))


def pool_of(services: Iterable[ServiceDescriptor]) -> DescriptorPool:
    """A pool of only these services' files and their imports."""
    pool = DescriptorPool()
    for service in services:
        _add(service.file, pool)
    return pool


def _add(file: FileDescriptor, pool: DescriptorPool) -> None:
    for imported in file.dependencies:
        _add(imported, pool)
    pool.AddSerializedFile(file.serialized_pb)


def _copy(file: FileDescriptor) -> FileDescriptorProto:
    return FileDescriptorProto.FromString(file.serialized_pb)


def _in_a_pool(file: FileDescriptorProto) -> FileDescriptor:
    described: FileDescriptor = DescriptorPool().AddSerializedFile(file.SerializeToString())
    return described


HEALTH = with_list(health_pb2.DESCRIPTOR).services_by_name["Health"]
REFLECTION_V1ALPHA = reflection_pb2.DESCRIPTOR.services_by_name["ServerReflection"]
REFLECTION_V1 = as_v1(reflection_pb2.DESCRIPTOR).services_by_name["ServerReflection"]
