"""Whether what went wrong may be over a moment later: then it says nothing about the version that could not be read or
loaded, and is tried again. Everything else is decided: another try would end the same way.
"""

import errno
from collections.abc import Iterator

PASSING_ERRNOS = frozenset(
    (
        *(errno.EIO, errno.ESTALE, errno.ETIMEDOUT),  # a disk that is away
        *(errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN),  # something is short
    )
)
NO_THREAD = "can't start new thread"
"""Python's words where the system gives it no thread more; the type, RuntimeError, says nothing."""

NO_MEMORY = ("bad_alloc", "Failed to allocate memory")
"""C++'s and ONNX Runtime's words for what is Python's MemoryError; their types say nothing either."""


def is_passing(err: BaseException) -> bool:
    """Whether it, or what it was raised from, is want of memory, of threads or of file descriptors, or a disk away."""
    return any(_is_passing(one) for one in _causes(err))


def _is_passing(err: BaseException) -> bool:
    if isinstance(err, OSError):
        return err.errno in PASSING_ERRNOS
    if isinstance(err, MemoryError) or any(words in str(err) for words in NO_MEMORY):
        return True
    return isinstance(err, RuntimeError) and NO_THREAD in str(err)


def _causes(err: BaseException) -> Iterator[BaseException]:
    """The error, what it was raised from, and so on; each once, whatever they are chained to."""
    seen: set[int] = set()
    cause: BaseException | None = err
    while cause is not None and id(cause) not in seen:
        seen.add(id(cause))
        yield cause
        cause = cause.__cause__
