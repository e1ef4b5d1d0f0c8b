"""A served model as Triton's ModelConfig, which its clients and perf_analyzer request first."""

from vouch.protos.inference import inference_pb2 as pb
from vouch.server.model.session import Outputs
from vouch.server.services.oip.metadata import PLATFORM, facts
from vouch.server.services.oip.request import INPUT
from vouch.server.serving.served import Served

BACKEND = "onnxruntime"


def model_config(served: Served, max_request_images: int) -> pb.ModelConfig:
    """Name, tensors without their batch axis, how requests are batched, and the facts as parameters.

    Args:
        max_request_images: returned as `max_batch_size`, which Triton's clients take as the largest batch of a request.
            The server decides how many images a run has.
    """
    manifest = served.bundle.manifest
    return pb.ModelConfig(
        name=manifest.name,
        platform=PLATFORM,
        backend=BACKEND,
        version_policy=pb.ModelVersionPolicy(latest=pb.ModelVersionPolicy.Latest(num_versions=1)),
        max_batch_size=max_request_images,
        input=[pb.ModelInput(name=INPUT, data_type=pb.TYPE_UINT8, dims=manifest.input.shape)],
        output=[
            pb.ModelOutput(name=name, data_type=pb.TYPE_FP32, dims=[len(manifest.labels)]) for name in Outputs._fields
        ],
        dynamic_batching=pb.ModelDynamicBatching(),
        parameters={name: pb.ModelParameter(string_value=value) for name, value in facts(served).items()},
    )
