"""Whether an error may be temporary: then it is no fault of the version, which is tried again. Any other error is
final: another try would fail in the same way.
"""

import errno
from collections.abc import Iterator

PASSING_ERRNOS = frozenset(
    (
        *(errno.EIO, errno.ESTALE, errno.ETIMEDOUT),  # a disk is unreachable
        *(errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN),  # a resource is exhausted
    )
)
NO_THREAD = "can't start new thread"
"""Python's message when the system cannot start another thread; the type, RuntimeError, is not specific."""

NO_MEMORY = ("bad_alloc", "Failed to allocate memory")
"""C++'s and ONNX Runtime's messages for Python's MemoryError; their types are not specific either."""


def is_passing(err: BaseException) -> bool:
    """Whether an error, or a cause of it, is a lack of memory, threads or descriptors, or an unreachable disk."""
    return any(_is_passing(one) for one in _causes(err))


def _is_passing(err: BaseException) -> bool:
    if isinstance(err, OSError):
        return err.errno in PASSING_ERRNOS
    if isinstance(err, MemoryError) or any(words in str(err) for words in NO_MEMORY):
        return True
    return isinstance(err, RuntimeError) and NO_THREAD in str(err)


def _causes(err: BaseException) -> Iterator[BaseException]:
    """The error and its causes; each once, even in a cycle."""
    seen: set[int] = set()
    cause: BaseException | None = err
    while cause is not None and id(cause) not in seen:
        seen.add(id(cause))
        yield cause
        cause = cause.__cause__
