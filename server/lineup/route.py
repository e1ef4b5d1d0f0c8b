"""Which model answers a call that names none."""

from collections.abc import Collection

from vouch.server.errors import InvalidRequest, NotReady

LISTED = 10
"""Number of models that a message lists."""


def unnamed(published: Collection[str], default: str = "") -> str:
    """The model's name.

    Args:
        published: all models of the models folder, served or not, so that the result does not depend on what is served
            at the moment.
        default: the model chosen for such calls; empty if none was.

    Raises:
        InvalidRequest: several are published; the message lists them.
        NotReady: none is published.
    """
    if default:
        return default
    if len(published) == 1:
        return next(iter(published))
    if not published:
        raise NotReady("the models folder of this server contains no model yet; vouch train publishes one")
    raise InvalidRequest(f"name a model: there {listed(published)}. --default-model sets one for calls that name none")


def listed(names: Collection[str]) -> str:
    """For a message: "are a, b and 3 more"."""
    if not names:
        return "are none"
    more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
    return ("is " if len(names) == 1 else "are ") + ", ".join(sorted(names)[:LISTED]) + more
