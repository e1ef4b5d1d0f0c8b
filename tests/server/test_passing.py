"""Which errors are tried again."""

import errno

import pytest

from vouch.bundle.errors import InvalidBundle
from vouch.server.errors import Refused
from vouch.server.passing import is_passing


@pytest.mark.parametrize(
    ("err", "expected"),
    [
        (MemoryError(), True),
        (RuntimeError("can't start new thread"), True),
        (RuntimeError("another"), False),
        (
            RuntimeError("[ONNXRuntimeError] : 6 : ... Failed to allocate memory for requested buffer"),
            True,
        ),
        (RuntimeError("std::bad_alloc"), True),
        (OSError(errno.EIO, "Input/output error"), True),
        (OSError(errno.EMFILE, "Too many open files"), True),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), True),
        (BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable"), True),
        (OSError(errno.ESTALE, "Stale file handle"), True),
        (FileNotFoundError(errno.ENOENT, "No such file"), False),
        (PermissionError(errno.EACCES, "Permission denied"), False),
        (TimeoutError(), False),
        (Refused("its hash is wrong"), False),
        (ValueError("a bug"), False),
    ],
)
def test_an_error_is_passing_where_it_may_be_over_a_moment_later(err: Exception, expected: bool) -> None:
    """Want of something, or a disk that is away; not what the version itself is."""
    assert is_passing(err) is expected


def test_what_an_error_was_raised_from_counts() -> None:
    """The reader of a bundle says in its own words that a file cannot be read."""
    inner = InvalidBundle("model.onnx cannot be read")
    inner.__cause__ = OSError(errno.EIO, "Input/output error")
    outer = Refused("model.onnx cannot be read")
    outer.__cause__ = inner

    assert is_passing(outer)


def test_errors_that_were_raised_from_each_other_end() -> None:
    """A circle of causes is looked at once."""
    one, other = Refused("one"), Refused("other")
    one.__cause__, other.__cause__ = other, one

    assert not is_passing(one)
