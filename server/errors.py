"""The errors of serving, without status codes: `rpc/status.py` maps each error to one.

A `DomainError` is expected and its message is meant for the caller; any other exception is a bug.
"""

QUOTED = 200
"""Most characters of a caller's text quoted in an error."""


def quoted(value: object) -> str:
    """A caller's value for an error; only the beginning of a long text."""
    return f"{value[:QUOTED]!r}..." if isinstance(value, str) and len(value) > QUOTED else repr(value)


class DomainError(Exception):
    """Base of all expected errors of serving."""


class InvalidRequest(DomainError):
    """The caller's fault; the message has what was expected and what came."""


class UnknownModel(DomainError):
    """There is no model of this name, or no such version of it."""


class NotReady(DomainError):
    """No verified version is served under this name yet; the same call may succeed later."""


class Closed(DomainError):
    """The server is draining; another server may answer."""


class Overloaded(DomainError):
    """A queue or the budget is full; nothing was enqueued."""


class DeadlineExpired(DomainError):
    """The caller's deadline passed before its images reached the model."""


class ModelFailed(DomainError):
    """The session raised, or returned a wrong number of rows; other batches are unaffected."""


class UnusableAnswer(DomainError):
    """The model's values for an image are not finite or are no probabilities; other images are unaffected."""


class MessageTooLarge(DomainError):
    """A message is over this server's limit."""


class Unsupported(DomainError):
    """There is no such method, or the server does not support this part of a protocol."""


class UnsupportedMedia(DomainError):
    """A body whose media type or encoding is not supported."""


class LoadNotAllowed(DomainError):
    """The models folder decides what is served, not callers."""


class CountsUnknown(DomainError):
    """The counts of all workers were not available in time."""


class BundleGone(DomainError):
    """A served bundle is no longer on disk as published."""


class Refused(DomainError):
    """A version failed its verification; the message is the reason."""


class Incomplete(Refused):
    """A version's folder is incomplete; it may still be being copied."""


class Undecided(DomainError):
    """A version could not be verified now, through no fault of its own; it is tried again."""


class StartFailed(DomainError):
    """The server cannot start with these settings."""
