"""The library versions and the source revision with which a model was trained."""

import platform
import subprocess
from importlib.metadata import version
from pathlib import Path

from vouch import __version__

LIBRARIES = ("torch", "onnx", "onnxruntime", "numpy", "pillow")


def library_versions() -> dict[str, str]:
    """Name -> version, including Python's."""
    installed = {name: version(name) for name in LIBRARIES}
    return {"python": platform.python_version(), "vouch": __version__, **installed}


def source_revision() -> str | None:
    """The git commit of this source, with "+" appended if files have changed; None outside a checkout."""
    root = Path(__file__).resolve().parents[2]
    if not (root / ".git").exists():
        return None
    try:
        commit = _git(root, "rev-parse", "HEAD")
        return commit + ("+" if _git(root, "status", "--porcelain") else "")
    except (OSError, subprocess.SubprocessError):
        return None


def _git(root: Path, *words: str) -> str:
    done = subprocess.run(["git", "-C", str(root), *words], capture_output=True, text=True, check=True, timeout=10)
    return done.stdout.strip()
