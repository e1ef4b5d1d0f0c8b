import pytest

from vouch.cli.sizes import bytes_in


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        *(("0", 0), ("1048576", 1 << 20), ("500M", 500 << 20), ("2g", 2 << 30), ("1.5G", 3 << 29)),
        *(("2 GiB", 2 << 30), ("64kb", 64 << 10), ("1T", 1 << 40), (" 7B ", 7)),
    ],
)
def test_sizes_are_as_people_write_them(typed: str, expected: int) -> None:
    """With a unit or without, in either case; each is 1,024 of the one below, as Docker counts."""
    assert bytes_in(typed) == expected


@pytest.mark.parametrize("typed", ["", "G", "2X", "-1M", "1e9", "half", "1,5G", "2G of it", "9" * 40])
def test_what_is_no_size_is_refused(typed: str) -> None:
    """With examples of what is."""
    with pytest.raises(ValueError, match="such as 500M"):
        bytes_in(typed)
