"""What can go wrong in serving, as facts. No status codes here: `rpc/status.py` maps each error to one.

A `DomainError` is expected and its message is meant for the caller; any other exception is a bug.
"""

QUOTED = 200
"""Signs of a caller's text that an error quotes."""


def quoted(value: object) -> str:
    """A caller's value as an error quotes it; of a text that may have millions of signs, the beginning."""
    return f"{value[:QUOTED]!r}..." if isinstance(value, str) and len(value) > QUOTED else repr(value)


class DomainError(Exception):
    """Base of all expected errors of serving."""


class InvalidRequest(DomainError):
    """The caller's fault: says what was expected and what came."""


class UnknownModel(DomainError):
    """No model, or no version of it, under this name."""


class NotReady(DomainError):
    """Nothing has vouched for itself under this name yet; the same call may succeed later."""


class Closed(DomainError):
    """The server is draining; another one may answer."""


class Overloaded(DomainError):
    """The queue is full; nothing was enqueued."""


class DeadlineExpired(DomainError):
    """The caller's deadline passed before its images reached the model."""


class ModelFailed(DomainError):
    """The session raised, or returned another number of rows; other batches are unaffected."""


class UnusableAnswer(DomainError):
    """The model's values for an image are not finite or no probabilities; other images of the batch are unaffected."""


class MessageTooLarge(DomainError):
    """A message is longer than this server takes, or sends."""


class Unsupported(DomainError):
    """No such method, or a part of a protocol that this server has not."""


class UnsupportedMedia(DomainError):
    """A body of a kind, or compressed in a way, that is not read here."""


class LoadNotAllowed(DomainError):
    """What is served is decided by the models folder, not by callers."""


class CountsUnknown(DomainError):
    """What all workers counted could not be had in time."""


class BundleGone(DomainError):
    """What is served no longer lies on disk as it was published."""


class Refused(DomainError):
    """A version could not vouch for itself; the message is the reason."""


class Incomplete(Refused):
    """A version's folder is not whole; it may be where somebody is still copying it."""


class Undecided(DomainError):
    """A version could not be looked at now; it says nothing about the version, and is tried again."""


class StartFailed(DomainError):
    """The server cannot start as it was asked to."""
