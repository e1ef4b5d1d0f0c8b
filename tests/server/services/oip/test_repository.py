import grpc
import pytest

from tests.server.services.classifier.calls import refusal
from tests.support.serving import Serving
from vouch.protos.inference import inference_pb2 as pb


async def index(serving: Serving, ready: bool = False) -> list[tuple[str, str, str, str]]:
    answer = await serving.inference.RepositoryIndex(pb.RepositoryIndexRequest(ready=ready))
    return [(model.name, model.version, model.state, model.reason) for model in answer.models]


async def test_every_version_is_listed_with_its_state_and_reason(serving: Serving) -> None:
    """Served, refused and being verified; a refused one that is looked at again is being verified."""
    serving.published.refuse("tiny", 2, "its hash is wrong")
    serving.published.refuse("tiny", 10, "it claims too much")
    serving.published.verify("tiny", 11, 10)
    serving.published.verify("other", 1)

    assert await index(serving) == [
        ("other", "1", "LOADING", ""),
        ("tiny", "1", "READY", ""),
        ("tiny", "2", "UNAVAILABLE", "its hash is wrong"),
        ("tiny", "10", "LOADING", ""),
        ("tiny", "11", "LOADING", ""),
    ]


async def test_ready_asks_for_what_is_served_alone(serving: Serving) -> None:
    """Refused versions are left out."""
    serving.published.refuse("tiny", 2, "its hash is wrong")

    assert await index(serving, ready=True) == [("tiny", "1", "READY", "")]


async def test_loading_and_unloading_are_not_for_callers(serving: Serving) -> None:
    """UNAVAILABLE, with the reason; what is served stays."""
    parameters = {"unload_dependents": pb.ModelRepositoryParameter(bool_param=False)}
    calls = [
        serving.inference.RepositoryModelLoad(pb.RepositoryModelLoadRequest(model_name="tiny")),
        serving.inference.RepositoryModelUnload(
            pb.RepositoryModelUnloadRequest(model_name="tiny", parameters=parameters)
        ),
    ]

    for call in calls:
        code, message = await refusal(call)
        assert code is grpc.StatusCode.UNAVAILABLE
        assert message.startswith("explicit load / unload is not allowed: the server watches the models folder")
    assert serving.catalog.find("tiny")


@pytest.mark.parametrize("rpc", ["RepositoryIndex", "RepositoryModelLoad", "RepositoryModelUnload"])
async def test_a_named_repository_is_not_implemented(serving: Serving, rpc: str) -> None:
    """There is one folder, and it has no name."""
    request = getattr(pb, f"{rpc}Request")(repository_name="other")

    code, message = await refusal(getattr(serving.inference, rpc)(request))

    assert code is grpc.StatusCode.UNIMPLEMENTED
    assert message == "expected no repository_name, got 'other': there is one models folder, and it has no name"
