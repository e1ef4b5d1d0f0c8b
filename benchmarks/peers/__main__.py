"""Installs or starts peers.

    python -m benchmarks.peers install [NAME...]       each in its own environment, in .venv-peers or $VOUCH_PEERS
    python -m benchmarks.peers NAME MODEL.onnx PORT    one in the foreground, on 127.0.0.1, until it is interrupted

Returns 1 if a peer could not be installed; the others are installed. All take about 3 GB of disk space.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.peers.catalog import PEERS
from benchmarks.peers.peer import NotInstalled, Peer

LOOKED_AT_EVERY_S, ENDED_WITHIN_S = 0.2, 60.0


def main() -> int:
    """Returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["install", *PEERS])
    parser.add_argument("words", nargs="*", metavar="NAME... or MODEL.onnx PORT")
    arguments = parser.parse_args()
    if arguments.what == "install":
        unknown = set(arguments.words) - set(PEERS)
        if unknown:
            parser.error(f"unknown peer: {', '.join(sorted(unknown))}; choose among {', '.join(PEERS)}")
        wanted = [PEERS[name] for name in arguments.words or PEERS]
        return 0 if len(installed(wanted)) == len(wanted) else 1
    if len(arguments.words) != 2 or not arguments.words[1].isdecimal():
        parser.error("MODEL.onnx and PORT are needed")
    return served(PEERS[arguments.what], Path(arguments.words[0]), int(arguments.words[1]))


def installed(wanted: list[Peer]) -> list[Peer]:
    """Those that are there now; why another is not goes to standard error."""
    found = []
    for peer in wanted:
        try:
            peer.install()
        except (NotInstalled, OSError, subprocess.TimeoutExpired) as err:
            print(err, file=sys.stderr, flush=True)
        else:
            found.append(peer)
    return found


def served(peer: Peer, model: Path, port: int) -> int:
    """Until it ends or is interrupted; its exit code."""
    if not installed([peer]):
        return 1
    with tempfile.TemporaryDirectory() as folder:
        process = subprocess.Popen(peer.command(model, port, Path(folder), len(os.sched_getaffinity(0))))
        try:
            while process.poll() is None:
                time.sleep(LOOKED_AT_EVERY_S)
        except KeyboardInterrupt:
            process.terminate()
        return process.wait(ENDED_WITHIN_S)


if __name__ == "__main__":
    sys.exit(main())
