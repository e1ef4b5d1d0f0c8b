"""A real gRPC server with the worker's own services over a catalog that serves the tiny model, as a fixture."""

from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import grpc
import pytest

from tests.support.lineups import Published
from tests.support.tiny import publish_tiny
from vouch.bundle.opening import Bundle
from vouch.bundle.store import ModelsFolder
from vouch.client.models import Model, ModelVersion
from vouch.protos.inference.inference_pb2_grpc import GRPCInferenceServiceStub
from vouch.protos.vouch.v1.classifier_pb2_grpc import ClassifierStub
from vouch.server.counting.statistics import Statistics
from vouch.server.model.batcher import Limits, start_batcher
from vouch.server.model.session import open_session
from vouch.server.model.usable import unusable_in
from vouch.server.rpc.method import Method
from vouch.server.services.decoder import Decoder
from vouch.server.services.predictor import Predictor
from vouch.server.serving.catalog import Catalog
from vouch.server.serving.gate import Gate
from vouch.server.serving.readiness import Readiness
from vouch.server.serving.served import Served
from vouch.server.supervisor.metrics import CODE_NAMES
from vouch.server.transport.choice import Listener
from vouch.server.transport.grpcio import start_grpcio
from vouch.server.transport.h2corn import start_h2corn
from vouch.server.transport.limits import Listening
from vouch.server.worker.services import ServiceParts, service_table

MAX_REQUEST_IMAGES = 500
MAX_MESSAGE_BYTES = 1_000_000
Start = Callable[[Iterable[Method], Gate, Listening], Awaitable[Listener]]


@dataclass
class Serving:
    """A listening server, and what is behind it."""

    folder: ModelsFolder
    catalog: Catalog
    published: Published
    """What the catalog is told; versions that are made by hand are served through it too."""
    readiness: Readiness
    gate: Gate
    channel: grpc.aio.Channel
    address: str
    methods: list[Method]
    inline_images: int = 0
    """Of versions that are installed from now on."""

    def ended(self) -> dict[tuple[str, str], int]:
        """Method and code -> requests that were counted, of all versions and of none."""
        counted = [method.requests for method in self.methods]
        counted += [one.statistics.requests for entry in self.catalog.entries() for one in entry.versions]
        found: Counter[tuple[str, str]] = Counter()
        for requests in counted:
            for path, codes in requests.methods.items():
                for code, times in codes.items():
                    found[path.split("/")[-1], CODE_NAMES[code]] += sum(times.buckets)
        return dict(found)

    @property
    def classifier(self) -> ClassifierStub:
        return ClassifierStub(self.channel)

    @property
    def inference(self) -> GRPCInferenceServiceStub:
        return GRPCInferenceServiceStub(self.channel)

    def install(self, bundle: Bundle) -> Served:
        session = open_session(bundle.read_model(), "cpu", 1)
        statistics = Statistics()
        batcher = start_batcher(
            session.run,
            Limits(64, 2000, self.inline_images),
            on_batch=statistics.add,
            unusable=unusable_in(bundle.manifest),
        )
        return self.published.serve(Served(bundle, bundle.manifest.claim.accuracy, batcher, statistics))


@pytest.fixture(params=[start_h2corn, start_grpcio], ids=["h2corn", "grpcio"])
def start(request: pytest.FixtureRequest) -> Start:
    """Starts a transport; whoever asks for this is run over each."""
    chosen: Start = request.param
    return chosen


@pytest.fixture
async def serving(tmp_path: Path, start: Start) -> AsyncIterator[Serving]:
    """All services, over each transport; one model, `tiny` version 1, is served."""
    readiness, gate = Readiness(), Gate()
    catalog = Catalog(on_change=lambda: readiness.set(catalog.ready))
    predictor = Predictor(catalog, Decoder(2, 100).decode, MAX_REQUEST_IMAGES, MAX_MESSAGE_BYTES)
    methods = service_table(ServiceParts(catalog, gate, readiness, predictor))
    server = await start(methods, gate, Listening(max_message_bytes=MAX_MESSAGE_BYTES))
    address = f"127.0.0.1:{server.port}"
    async with grpc.aio.insecure_channel(address) as channel:
        folder, published = ModelsFolder(tmp_path / "models"), Published(catalog)
        house = Serving(folder, catalog, published, readiness, gate, channel, address, methods)
        house.install(publish_tiny(house.folder))
        yield house
        readiness.drain()
    await server.stop()
    await catalog.close()


def live(model: Model) -> ModelVersion:
    """Of a model that is served, the version that answers."""
    assert model.live is not None
    return model.live
