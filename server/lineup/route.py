"""Which model a call means that names none."""

from collections.abc import Collection

from vouch.server.errors import InvalidRequest, NotReady

LISTED = 10
"""Models that a message names."""


def unnamed(published: Collection[str], default: str = "") -> str:
    """The model's name.

    Args:
        published: all models of the models folder, served or not: what is served at a moment decides nothing, or the
            answer would change with it.
        default: the model that was chosen for such calls; empty where none was.

    Raises:
        InvalidRequest: several are published; the message names them.
        NotReady: none is.
    """
    if default:
        return default
    if len(published) == 1:
        return next(iter(published))
    if not published:
        raise NotReady("the models folder of this server holds no model yet; vouch train publishes one")
    raise InvalidRequest(
        f"a model has to be named: there {listed(published)}. --default-model chooses one for calls that name none"
    )


def listed(names: Collection[str]) -> str:
    """For a message: "are a, b and 3 more"."""
    if not names:
        return "are none"
    more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
    return ("is " if len(names) == 1 else "are ") + ", ".join(sorted(names)[:LISTED]) + more
