"""NVIDIA Triton: its server in C++ from nvidia-pytriton's wheel, with ONNX Runtime in its Python backend.

Triton's ONNX Runtime backend in C++ is not on any package registry. Batches are formed without a delay, preferably of
128 images, because a run of thousands is slower per image with a cnn; there is one instance of one thread for each
core.
"""

import shutil
import sys
from functools import partial
from pathlib import Path

from benchmarks.peers.peer import ROOT, SERVED_AS, Command, Peer, Start

CONFIG = """backend: "python"
max_batch_size: 1024
dynamic_batching {{ preferred_batch_size: [ 128 ] }}
instance_group [{{count: {instances} kind: KIND_CPU}}]
"""
PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"
"""The peers run the Python that they are installed with, which is ours."""
MODEL_PY = Path(__file__).resolve().parent / "programs" / "triton_model.py"


def triton(instances: int, model_py: Path = MODEL_PY) -> Peer:
    """With so many processes of the model.

    Args:
        model_py: of the Python backend; it lies beside model.onnx, and names its inputs and outputs itself
            (`auto_complete_config`). Modules of this repository can be imported from it.
    """
    return Peer(
        "triton",
        f"Triton, {instances} instance{'s' * (instances > 1)}",
        ("nvidia-pytriton==0.7.0", "onnxruntime==1.32.0", "pillow==13.0.0"),
        partial(start, instances=instances, model_py=model_py),
        "dynamic batching without a delay, 128 images preferred; one instance of one thread for each core",
    )


def start(at: Start, instances: int, model_py: Path) -> Command:
    """Writes a model repository and says what serves it."""
    packages = at.python.parent.parent / "lib" / f"python{PYTHON}" / "site-packages"
    served = packages / "pytriton" / "tritonserver"
    backend, version = at.folder / "backends" / "python", at.folder / "models" / SERVED_AS / "1"
    shutil.copytree(served / "backends" / "python", backend)
    shutil.copy(served / "python_backend_stubs" / PYTHON / "triton_python_backend_stub", backend)
    version.mkdir(parents=True)
    paths = f"import sys; sys.path[:0] = {[str(packages), str(ROOT)]}\n"  # the backend heeds no PYTHONPATH
    (version / "model.py").write_text(paths + model_py.read_text("utf-8"), "utf-8")
    (version / "model.onnx").symlink_to(at.model)
    (version.parent / "config.pbtxt").write_text(CONFIG.format(instances=instances), "utf-8")
    words = (
        *(str(served / "bin" / "tritonserver"), f"--model-repository={at.folder / 'models'}"),
        *(f"--backend-directory={at.folder / 'backends'}", "--exit-timeout-secs=2"),
        *("--allow-http=false", "--allow-metrics=false"),
        *("--grpc-address=127.0.0.1", f"--grpc-port={at.port}"),
    )
    libraries = at.python.resolve().parent.parent / "lib"
    environment = {
        "ORT_THREADS": "1",
        "LD_LIBRARY_PATH": f"{packages / 'nvidia_pytriton.libs'}:{libraries}",
    }
    return Command(words, environment)
