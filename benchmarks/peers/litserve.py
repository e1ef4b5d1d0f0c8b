"""Lightning's LitServe, over HTTP.

Two and a half to five milliseconds of processor time a call go into its queues between processes, whatever the number
of workers, of HTTP servers and of requests of a batch: `fast_queue` has no effect in 0.2.19 (Lightning-AI/LitServe
issue 751). So the settings are those that its documentation names for throughput.
"""

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
    "batches of up to 64 requests, raw bytes in place of JSON, a worker of one thread for each core; its fast queue is "
    "asked for, and has no effect in this version",
    path="/predict",
)
