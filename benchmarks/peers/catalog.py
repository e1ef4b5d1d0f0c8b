"""All known peers."""

import os

from benchmarks.peers.kserve import KSERVE
from benchmarks.peers.litserve import LITSERVE
from benchmarks.peers.mlserver import MLSERVER
from benchmarks.peers.mosec import MOSEC
from benchmarks.peers.peer import Peer
from benchmarks.peers.triton import triton

TRITON = triton(instances=max(2, len(os.sched_getaffinity(0))))
PEERS: dict[str, Peer] = {peer.name: peer for peer in (TRITON, MLSERVER, KSERVE, LITSERVE, MOSEC)}
