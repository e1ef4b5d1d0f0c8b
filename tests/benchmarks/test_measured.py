"""Where figures are kept and shown."""

from pathlib import Path

import pytest

from benchmarks.measured import marks, only_writer, put


def test_a_page_without_marks_is_not_written_over() -> None:
    """Only what is between the marks is replaced."""
    begin, end = marks("make tea")

    assert put(f"a\n{begin}old{end}\nb", "new", "make tea") == f"a\n{begin}\n\nnew\n\n{end}\nb"
    with pytest.raises(ValueError, match="does not contain <!-- begin: make coffee"):
        put(f"a\n{begin}old{end}\nb", "new", "make coffee")


def test_a_folder_of_records_has_one_writer(tmp_path: Path) -> None:
    """A second one is told to wait; after the first has ended there is room for another."""
    path = tmp_path / "new" / "record.json"

    with only_writer(path), pytest.raises(SystemExit, match="another measurement writes"), only_writer(path):
        pytest.fail("there are two writers")
    with only_writer(path):
        pass
