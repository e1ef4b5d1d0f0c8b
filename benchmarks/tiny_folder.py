"""Time of training on a folder of 20 tiny images, for each network: 14 for training, 16 x 16 pixels, one half bright.

    python -m benchmarks.tiny_folder

It once took longer than all of MNIST. Prints seconds of processor time, which does not depend on other processes: of
the whole command, and of starting Python, torch and our modules. They go to `docs/measured/tiny_folder.json`.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.runs import Clock, commit, keep, machine, run_vouch
from benchmarks.training.running import CODE
from vouch.bundle.opening import open_bundle

SIDE, OF_CLASS = 16, 10
MODELS = ("linear", "mlp", "cnn")
START = "import vouch.trainer.run"
WITHIN_S = 300.0


def main() -> None:
    """Prints a table and keeps the figures."""
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder, "halves")
        _write(data)
        clock = Clock.started()
        subprocess.run([sys.executable, "-c", START], check=True, timeout=WITHIN_S)
        start = round(clock.processor_seconds(), 1)
        rows = [{"model": model} | _trained(data, model) for model in MODELS]
    print(f"| model | epochs | seconds of processor time, of them {start} to start |\n|---|---|---|")
    for row in rows:
        print(f"| {row['model']} | {row['epochs']} | {row['processor_s']} |")
    keep("tiny_folder", {"machine": machine(), "commit": commit(CODE), "start_s": start, "trainings": rows})


def _write(folder: Path) -> None:
    random = np.random.default_rng(0)
    for label in range(2):
        (folder / str(label)).mkdir(parents=True)
        for number in range(OF_CLASS):
            image = random.integers(0, 90, (SIDE, SIDE), dtype=np.uint8)
            image[:, label * SIDE // 2 :][:, : SIDE // 2] += 100
            Image.fromarray(image).save(folder / str(label) / f"{number}.png")


def _trained(data: Path, model: str) -> dict[str, float | int | None]:
    clock = Clock.started()
    result = run_vouch("train", str(data), "--model", model, "--models", str(data.parent / model), "--device", "cpu")
    history = open_bundle(Path(result["bundle"])).manifest.training.history
    return {"epochs": history.epochs, "processor_s": round(clock.processor_seconds(), 1)}


if __name__ == "__main__":
    main()
