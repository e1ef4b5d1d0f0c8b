"""Seldon's MLServer, with a runtime of a few lines for ONNX.

It runs in the server's own process, without adaptive batching or metrics: most time is spent on converting each tensor
to a list of Python numbers, and worker processes and batches add to it.
"""

import json
from dataclasses import replace
from functools import partial

from benchmarks.peers.peer import ROOT, SERVED_AS, Command, Peer, Start

MAX_MESSAGE_BYTES = 256 << 20


def start(at: Start, over_http: bool = False) -> Command:
    """Writes its two files of settings and says what serves them.

    Args:
        over_http: whether the port is that of HTTP, or of gRPC.
    """
    model = {"name": SERVED_AS, "implementation": "benchmarks.peers.programs.mlserver_runtime.OnnxRuntime"}
    settings = {
        "host": "127.0.0.1",
        "grpc_port": at.port + 1 if over_http else at.port,
        "http_port": at.port if over_http else at.port + 1,
        "metrics_endpoint": None,
        "grpc_max_message_length": MAX_MESSAGE_BYTES,
        "parallel_workers": 0,
        "debug": False,
    }
    (at.folder / "model-settings.json").write_text(json.dumps(model), "utf-8")
    (at.folder / "settings.json").write_text(json.dumps(settings), "utf-8")
    words = (str(at.python.with_name("mlserver")), "start", str(at.folder))
    return Command(words, {"MODEL": str(at.model), "ORT_THREADS": str(at.cores), "PYTHONPATH": str(ROOT)})


MLSERVER = Peer(
    "mlserver",
    "MLServer",
    ("mlserver==1.7.1", "onnxruntime==1.32.0"),
    start,
    "in the server's own process, no adaptive batching, no metrics, all cores for a run",
)
MLSERVER_HTTP = replace(MLSERVER, title="MLServer (HTTP)", start=partial(start, over_http=True))
"""The same, asked by Open Inference over HTTP."""
