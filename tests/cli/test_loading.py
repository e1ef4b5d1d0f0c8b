"""What a program imports at its start is not looked through for garbage, then or later."""

import gc
import sys
from importlib import import_module
from pathlib import Path

import pytest

from vouch.cli.loading import loading


def test_what_was_loaded_is_never_looked_through(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither behind the block nor at the end of the process."""
    (tmp_path / "loaded_once.py").write_text("found = []\n")
    monkeypatch.syspath_prepend(tmp_path)
    with loading():
        found = import_module("loaded_once").found
        assert not gc.isenabled()

    assert gc.isenabled()
    assert not any(one is found for one in gc.get_objects())
    sys.modules.pop("loaded_once")


def test_where_nothing_was_loaded_all_is_looked_through_as_before() -> None:
    """A second command in one program leaves that program's garbage where it is found."""
    found: list[object] = []
    with loading():
        import_module("gc")

    assert gc.isenabled()
    assert any(one is found for one in gc.get_objects())
