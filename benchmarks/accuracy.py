"""Accuracy on MNIST, measured four times: claimed, recounted by the server, and by two clients that share no code.

    make accuracy                     trains linear and cnn on MNIST, serves them, counts, prints a table

Takes some minutes. The table and the versions go to standard output, all figures to docs/measured/accuracy.json.
"""

import argparse
import json
import select
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.runs import RUN_WITHIN_S, keep, machine, run_vouch
from vouch.client import CallFailed, Client

HERE = Path(__file__).resolve().parent
KINDS = ("linear", "mlp", "cnn")
START_WITHIN_S = END_WITHIN_S = 60.0


def main() -> int:
    """Runs the benchmark; returns 1 if two counts of one model differ."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="mnist", help="mnist, or a folder of its IDX files")
    parser.add_argument("--other-python", required=True, help="a Python with tritonclient but without vouch")
    arguments = parser.parse_args()
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as models:
        for kind in KINDS:
            words = ["--data", arguments.data, "--model", kind, "--name", f"mnist-{kind}", "--models", models]
            rows.append(run_vouch("train", *words) | {"kind": kind})
        with serving(Path(models)) as address:
            for row in rows:
                wait_until_served(address, row["name"])
                count(row, address, arguments.data, arguments.other_python, Path(models))
    report(rows)
    counts = ("served", "predicted", "independent")
    return 0 if all(row["correct"] == row[name] for row in rows for name in counts) else 1


def count(row: dict[str, Any], address: str, data: str, other_python: str, models: Path) -> None:
    """Adds the three recounts to a model's row."""
    ask = ["evaluate", "--server", address, "--model", row["name"]]
    row["served"] = run_vouch(*ask)["served"]["correct"]
    row["predicted"] = run_vouch(*ask, "--data", data)["served"]["correct"]
    validation = models / row["name"] / "1" / "validation.npz"
    script = [other_python, str(HERE / "independent_client.py"), address, row["name"], str(validation)]
    done = subprocess.run(script, capture_output=True, text=True, check=True, timeout=RUN_WITHIN_S)
    row["independent"] = int(done.stdout)


def report(rows: list[dict[str, Any]]) -> None:
    """Prints the table and stores the figures."""
    print("| model | claim | accuracy (95 % interval) | served | our client | tritonclient | fitting |")
    print("|---|---|---|---|---|---|---|")
    for row in rows:
        print(
            f"| {row['kind']} | {row['correct']:,} of {row['total']:,} | {row['accuracy']:.2%} "
            f"({row['low']:.2%} to {row['high']:.2%}) | {row['served']:,} | {row['predicted']:,} | "
            f"{row['independent']:,} | {row['seconds']:.0f} s |"
        )
    print(f"\n{machine()}")
    kept = [{key: value for key, value in row.items() if key not in ("bundle", "new", "report")} for row in rows]
    keep("accuracy", {"machine": machine(), "models": kept})


@contextmanager
def serving(models: Path) -> Iterator[str]:
    """`vouch serve` on a free port; yields its address."""
    command = [sys.executable, "-m", "vouch", "serve", str(models), "--port", "0", "--metrics-port", "0", "--json"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    try:
        if not select.select([server.stdout], [], [], START_WITHIN_S)[0]:
            raise SystemExit(f"the server did not start within {START_WITHIN_S:g} s")
        yield json.loads(server.stdout.readline())["address"]
    finally:
        server.terminate()
        server.wait(END_WITHIN_S)


def wait_until_served(address: str, name: str, timeout_s: float = 120.0) -> None:
    """Waits until the model is verified and served."""
    deadline = time.monotonic() + timeout_s
    with Client(address) as client:
        while time.monotonic() < deadline:
            try:
                if client.model(name).state == "serving":
                    return
            except CallFailed:
                pass  # the server has not seen the folder yet
            time.sleep(0.1)
    raise SystemExit(f"{name} was not served within {timeout_s:g} s")


if __name__ == "__main__":
    sys.exit(main())
