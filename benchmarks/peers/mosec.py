"""mosec: a front end in Rust, workers in Python, over HTTP.

A worker of one thread for each core takes up to 16 requests per run: fewer are slower for small calls, and more make
runs of thousands of images, which are slower per image with a cnn.
"""

from benchmarks.peers.peer import ROOT, Command, Peer, Start

MAX_REQUEST_BYTES = 256 << 20


def start(at: Start) -> Command:
    """Its program, with a worker for each core."""
    words = (
        *(str(at.python), "-m", "benchmarks.peers.programs.mosec_server", "--address=127.0.0.1"),
        *(f"--port={at.port}", f"--max-request-size={MAX_REQUEST_BYTES}", "--timeout=60000", "--log-level=warning"),
        f"--path={at.folder / 'sockets'}",
    )
    environment = {"MODEL": str(at.model), "WORKERS": str(at.cores), "ORT_THREADS": "1", "PYTHONPATH": str(ROOT)}
    return Command(words, environment)


MOSEC = Peer(
    "mosec",
    "mosec (HTTP)",
    ("mosec==0.9.8", "onnxruntime==1.32.0"),
    start,
    "batches of up to 16 requests, the shortest wait, raw bytes in place of JSON, a worker of one thread for each core",
    path="/inference",
)
