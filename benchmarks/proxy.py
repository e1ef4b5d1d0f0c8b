"""HAProxy on this machine, with the deployment's configuration."""

import re
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[1] / "deploy/haproxy"
END_WITHIN_S = 10.0


def configuration(name: str, port: int, servers: Iterable[tuple[int, int]]) -> str:
    """A file of deploy/haproxy, listening on 127.0.0.1 and before servers of this machine in place of Docker's.

    Args:
        servers: their ports for gRPC and for readiness.

    Raises:
        ValueError: the file does not read as expected.
    """
    lines = "\n".join(f"    server s{grpc} 127.0.0.1:{grpc} port {ready}" for grpc, ready in servers)
    text = (FOLDER / name).read_text()
    for pattern, instead in (
        (r"^resolvers docker\n(    .*\n)+", ""),
        (r"^    default-server resolvers .*\n", ""),
        (r"^    server-template .*$", lines),
        (r"bind :8090", f"bind 127.0.0.1:{port}"),
        (r"http-check connect port 8082", "http-check connect"),
    ):
        text, count = re.subn(pattern, instead, text, flags=re.MULTILINE)
        if count != 1:
            raise ValueError(f"{name} has {count} lines like {pattern!r}, not one")
    return text


@contextmanager
def haproxy(text: str, folder: Path) -> Iterator[None]:
    """Runs as long as the block does."""
    file = folder / "haproxy.cfg"
    file.write_text(text)
    process = subprocess.Popen(["haproxy", "-db", "-f", str(file)], stdout=2)
    try:
        yield
    finally:
        process.terminate()
        process.wait(END_WITHIN_S)
