import subprocess
import sys

import pytest

FREED_AND_TAKEN_AGAIN = """
import resource
import sys
from vouch.trainer.learn.heap import keep_freed_memory

def taken():
    pieces = [bytearray(b"x") * (2 << 20) for _ in range(20)]

def pages():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    taken()
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

if sys.argv[1] == "kept":
    keep_freed_memory()
taken()
taken()
print(pages())
"""


def pages_asked_for(way: str) -> int:
    """Of the system, for 40 MB of which as much was freed just before; in a process of its own."""
    command = [sys.executable, "-c", FREED_AND_TAKEN_AGAIN, way]
    return int(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, timeout=60).stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="glibc alone is asked")
def test_what_was_freed_is_taken_again() -> None:
    """Without asking the system for its pages, as glibc does of itself."""
    before = pages_asked_for("as it is")
    if before < 5000:
        pytest.skip(f"{before} pages are asked for as it is: large pages, or another C library")
    assert pages_asked_for("kept") < 100
