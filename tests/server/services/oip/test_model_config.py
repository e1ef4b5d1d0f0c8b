import grpc
import pytest

from tests.support.serving import MAX_REQUEST_IMAGES, Serving
from vouch.protos.inference import inference_pb2 as pb


async def test_the_configuration_is_what_tritons_clients_need(serving: Serving) -> None:
    """Its tensors are those of the metadata without the batch, which may be as large as a request."""
    config = (await serving.inference.ModelConfig(pb.ModelConfigRequest(name="tiny"))).config
    about = await serving.inference.ModelMetadata(pb.ModelMetadataRequest(name="tiny"))

    assert (config.name, config.platform, config.backend) == ("tiny", about.platform, "onnxruntime")
    assert config.max_batch_size == MAX_REQUEST_IMAGES
    assert [(tensor.name, tensor.data_type, list(tensor.dims)) for tensor in config.input] == [
        ("images", pb.TYPE_UINT8, [4, 4])
    ]
    assert [(tensor.name, tensor.data_type, list(tensor.dims)) for tensor in config.output] == [
        ("probabilities", pb.TYPE_FP32, [3]),
        ("logits", pb.TYPE_FP32, [3]),
    ]
    assert [[-1, *tensor.dims] for tensor in config.input] == [list(tensor.shape) for tensor in about.inputs]
    assert config.WhichOneof("scheduling_choice") == "dynamic_batching"
    assert config.version_policy.latest.num_versions == 1
    assert {name: value.string_value for name, value in config.parameters.items()} == dict(about.properties)


def test_the_fields_have_tritons_numbers() -> None:
    """What another program wrote by them is read by them."""
    message = pb.ModelConfig(
        name="a",
        platform="b",
        version_policy=pb.ModelVersionPolicy(latest=pb.ModelVersionPolicy.Latest(num_versions=1)),
        max_batch_size=1,
        input=[pb.ModelInput(name="i", data_type=pb.TYPE_UINT8, dims=[4])],
        output=[pb.ModelOutput(name="o", data_type=pb.TYPE_FP32, dims=[3])],
        dynamic_batching=pb.ModelDynamicBatching(),
        backend="c",
    )
    expected = (
        *(b"\x0a\x01a", b"\x12\x01b", b"\x1a\x04\x0a\x02\x08\x01", b"\x20\x01"),
        *(b"\x2a\x08\x0a\x01i\x10\x02\x22\x01\x04", b"\x32\x08\x0a\x01o\x10\x0b\x1a\x01\x03"),
        *(b"\x5a\x00", b"\x8a\x01\x01c"),
    )

    assert message.SerializeToString(deterministic=True) == b"".join(expected)


@pytest.mark.parametrize(("name", "version"), [("none", ""), ("tiny", "2")])
async def test_what_is_not_served_has_no_configuration(serving: Serving, name: str, version: str) -> None:
    """NOT_FOUND, as for its metadata."""
    with pytest.raises(grpc.aio.AioRpcError) as failure:
        await serving.inference.ModelConfig(pb.ModelConfigRequest(name=name, version=version))

    assert failure.value.code() is grpc.StatusCode.NOT_FOUND
