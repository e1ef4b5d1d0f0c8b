"""Lightning's LitServe, over HTTP.

Its queues between processes take 2.5 to 5 ms of processor time per call, for any number of workers, HTTP servers and
requests per batch: `fast_queue` has no effect in 0.2.19 (Lightning-AI/LitServe issue 751). So the settings are those
that its documentation recommends for throughput.
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
