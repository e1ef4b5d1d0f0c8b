"""A real gRPC server over a catalog that serves the tiny model, as a fixture; the worker's own tests start it whole."""

from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import grpc
import pytest

from tests.support.tiny import publish_tiny
from vouch.bundle.store import Bundle, ModelsFolder
from vouch.protos.inference.inference_pb2_grpc import GRPCInferenceServiceStub
from vouch.protos.vouch.v1.classifier_pb2_grpc import ClassifierStub
from vouch.server.counting.statistics import Statistics
from vouch.server.model.batcher import Limits, start_batcher
from vouch.server.model.session import open_session
from vouch.server.model.usable import unusable_in
from vouch.server.rpc.method import Method, no_method
from vouch.server.services.classifier.service import Classifier
from vouch.server.services.decoder import Decoder
from vouch.server.services.health import Health
from vouch.server.services.oip.service import Inference
from vouch.server.services.reflection import Reflection
from vouch.server.serving.catalog import Catalog, Served
from vouch.server.serving.gate import Gate
from vouch.server.serving.readiness import Readiness
from vouch.server.supervisor.metrics import CODE_NAMES
from vouch.server.transport.choice import Listener
from vouch.server.transport.grpcio import start_grpcio
from vouch.server.transport.h2corn import start_h2corn
from vouch.server.transport.limits import Listening

MAX_REQUEST_IMAGES = 500
Start = Callable[[Iterable[Method], Gate, Listening], Awaitable[Listener]]


@dataclass
class Serving:
    """A listening server, and what is behind it."""

    folder: ModelsFolder
    catalog: Catalog
    readiness: Readiness
    gate: Gate
    channel: grpc.aio.Channel
    address: str
    methods: list[Method]
    at_once_images: int = 0
    """Of versions that are installed from now on."""

    def ended(self) -> dict[tuple[str, str], int]:
        """Method and code -> requests that were counted, of all versions and of none."""
        counted = [method.requests for method in self.methods]
        counted += [entry.served.statistics.requests for entry in self.catalog.entries() if entry.served]
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
            Limits(64, 2000, self.at_once_images),
            on_batch=statistics.add,
            unusable=unusable_in(bundle.manifest),
        )
        served = Served(bundle, bundle.manifest.claim.accuracy, batcher, statistics)
        self.catalog.install(served)
        return served


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
    methods = [
        *Classifier(catalog, gate, Decoder(2, 100), MAX_REQUEST_IMAGES).methods(),
        *Inference(catalog, gate, readiness, MAX_REQUEST_IMAGES).methods(),
        *Health(readiness, ["vouch.v1.Classifier"]).methods(),
        *Reflection(["vouch.v1.Classifier", "inference.GRPCInferenceService"]).methods(),
        no_method(),
    ]
    server = await start(methods, gate, Listening(max_message_bytes=1_000_000))
    address = f"127.0.0.1:{server.port}"
    async with grpc.aio.insecure_channel(address) as channel:
        house = Serving(ModelsFolder(tmp_path / "models"), catalog, readiness, gate, channel, address, methods)
        house.install(publish_tiny(house.folder))
        yield house
        readiness.drain()
    await server.stop()
    await catalog.close()
