"""KServe's own Python server, over gRPC.

Its `--workers` are only for HTTP and gRPC has one process, so a run uses all cores. Its log line for each call is
turned off, because it halves the speed.
"""

from benchmarks.peers.peer import ROOT, SERVED_AS, Command, Peer, Start

MAX_MESSAGE_BYTES = 256 << 20


def start(at: Start) -> Command:
    """Its program, with KServe's own flags."""
    words = (
        *(str(at.python), "-m", "benchmarks.peers.programs.kserve_server", f"--model_name={SERVED_AS}"),
        *(f"--grpc_port={at.port}", f"--http_port={at.port + 1}", "--enable_docs_url=false"),
        *(f"--grpc_max_send_message_length={MAX_MESSAGE_BYTES}", "--enable_latency_logging=false"),
        *(f"--grpc_max_receive_message_length={MAX_MESSAGE_BYTES}", f"--max_threads={at.cores}"),
    )
    return Command(words, {"MODEL": str(at.model), "ORT_THREADS": str(at.cores), "PYTHONPATH": str(ROOT)})


KSERVE = Peer(
    "kserve",
    "KServe",
    ("kserve==0.21.0", "onnxruntime==1.32.0"),
    start,
    "raw bytes in and out, nothing logged for a call, all cores for a run",
)
