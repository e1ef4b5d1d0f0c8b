"""Lightning's LitServe, over HTTP."""

from benchmarks.peers.peer import ROOT, Command, Peer, Start


def start(at: Start) -> Command:
    """Its program, with a worker for each core."""
    words = (str(at.python), "-m", "benchmarks.peers.programs.litserve_server", str(at.port))
    environment = {"MODEL": str(at.model), "WORKERS": str(at.cores), "ORT_THREADS": "1", "PYTHONPATH": str(ROOT)}
    return Command(words, environment)


LITSERVE = Peer(
    "litserve",
    "LitServe (HTTP)",
    ("litserve==0.2.19", "onnxruntime==1.32.0"),
    start,
    "batches of up to 64 requests, its fast queue, raw bytes in place of JSON, a worker of one thread for each core",
    path="/predict",
)
