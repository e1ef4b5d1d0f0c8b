import platform
import runpy
import shutil
import subprocess
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import pytest

from vouch import __version__
from vouch.trainer.publish import provenance


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A folder with a copy of the module, two below its root, as in this repository."""
    (tmp_path / "trainer" / "publish").mkdir(parents=True)
    shutil.copy(provenance.__file__, tmp_path / "trainer" / "publish")
    return tmp_path


def revision_of(checkout: Path) -> str | None:
    """What the copy of the module says about the checkout that it is in."""
    module = runpy.run_path(str(checkout / "trainer" / "publish" / "provenance.py"))
    source_revision: Callable[[], str | None] = module["source_revision"]
    return source_revision()


def git(checkout: Path, *words: str) -> str:
    names = ("-c", "user.name=somebody", "-c", "user.email=somebody@example.org", "-c", "commit.gpgsign=false")
    command = ["git", "-C", str(checkout), *names, *words]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    return done.stdout.strip()


def test_the_libraries_that_matter_are_listed() -> None:
    """Python and what computes, exports and decodes are listed with the versions that are installed."""
    versions = provenance.library_versions()

    assert versions["python"] == platform.python_version()
    assert versions["vouch"] == __version__
    for name in ("torch", "onnx", "onnxruntime", "numpy", "pillow"):
        assert versions[name] == version(name)


def test_outside_a_checkout_there_is_no_revision(checkout: Path) -> None:
    """An installed trainer, or one below somebody else's repository, does not name a commit."""
    assert revision_of(checkout) is None


def test_a_checkout_without_commits_has_no_revision(checkout: Path) -> None:
    """Where git has nothing to say, training goes on without a revision."""
    git(checkout, "init")

    assert revision_of(checkout) is None


def test_the_revision_is_the_commit(checkout: Path) -> None:
    """A clean checkout gives its commit; one with changes gives it with a plus."""
    git(checkout, "init")
    git(checkout, "add", ".")
    git(checkout, "commit", "-m", "first")
    commit = git(checkout, "rev-parse", "HEAD")
    clean = revision_of(checkout)
    (checkout / "new").write_text("hello")

    assert clean == commit
    assert revision_of(checkout) == commit + "+"
