"""The loads that `make benchmark` and `make benchmark-quick` measure."""

from dataclasses import dataclass, replace

from benchmarks.peers.catalog import PEERS, TRITON
from benchmarks.peers.litserve import LITSERVE
from benchmarks.peers.mlserver import MLSERVER, MLSERVER_HTTP
from benchmarks.peers.mosec import MOSEC
from benchmarks.peers.peer import SERVED_AS, Peer
from benchmarks.peers.triton import triton
from benchmarks.serving.contenders import Contender, default_vouch, echo, peer, vouch
from benchmarks.serving.forms import json_tensor, of_vouch
from vouch.bundle.opening import Bundle

BATCHES = (1, 8, 32, 128, 1024)
PARTS = ("calls", "streams", "rest", "latency", "photographs")


@dataclass(frozen=True)
class Plan:
    """Which loads there are, and how long each is."""

    batches: dict[str, tuple[int, ...]]
    """Of each kind of model."""
    parts: tuple[str, ...]
    rounds: int
    seconds: float
    """Of each load."""

    @property
    def photo_seconds(self) -> float:
        """Of a load of photographs, of which there are fewer a second."""
        return 3 * self.seconds


FULL = Plan({"linear": BATCHES, "cnn": BATCHES}, PARTS, rounds=3, seconds=2.0)
QUICK = Plan({"linear": (1, 32, 128, 1024), "cnn": (1, 32)}, ("calls",), rounds=2, seconds=0.5)


def needed(plan: Plan) -> list[Peer]:
    """The peers that its parts ask."""
    parts = set(plan.parts)
    if parts & {"calls", "latency"}:
        return list(PEERS.values())
    found = [LITSERVE, MOSEC, MLSERVER] if "rest" in parts else []
    return [*found, TRITON] if parts & {"streams", "photographs"} else found


def for_calls(peers: list[Peer], quick: bool) -> list[Contender]:
    """Ours with default settings first; Triton with one instance too, as its best counts."""
    found = [default_vouch()]
    if not quick:
        found += [vouch("h2corn", 1), vouch("h2corn", 2), vouch("grpcio", 1)]
    found += [peer(one) for one in peers]
    return found + [peer(triton(instances=1))] * (TRITON in peers and not quick)


def for_streams(peers: list[Peer]) -> list[Contender]:
    """Those that have streams."""
    return [default_vouch(), vouch("grpcio", 1), *(peer(one) for one in peers if one == TRITON)]


def for_rest(peers: list[Peer], bundle: Bundle) -> list[Contender]:
    """Ours in each form, and those that speak HTTP in theirs."""
    found = [replace(default_vouch(), name=f"Vouch, {form.takes}", form=form) for form in of_vouch(bundle)]
    found += [peer(one) for one in peers if one.path]
    return found + [replace(peer(MLSERVER_HTTP), form=json_tensor(SERVED_AS))] * (MLSERVER in peers)


def for_latency(peers: list[Peer]) -> list[Contender]:
    """Each on one core; the echo shows what generator and machine add."""
    on_one_core = [triton(instances=1) if one == TRITON else one for one in peers]
    return [default_vouch(), *(peer(one, cores=1) for one in on_one_core), echo()]
