"""Waiting for a server that is only starting, or whose first model is being trained."""

import time

from vouch.cli.console import say
from vouch.client.client import Client
from vouch.client.errors import CallFailed

INTERVAL_S = 0.5


def until_served(client: Client, model: str, wait_s: float) -> None:
    """Returns when the model is served, or when waiting longer is of no use: then the call itself tells why.

    What is missing is said on standard error, once as long as it stays the same.

    Args:
        model: empty for whichever.
    """
    ends, said = time.monotonic() + wait_s, ""
    while time.monotonic() < ends and (missing := _missing(client, model)):
        if missing != said:
            say(f"waiting up to {wait_s:g} s: {missing}")
            said = missing
        time.sleep(INTERVAL_S)


def _missing(client: Client, model: str) -> str:
    """Empty where nothing is, or nothing that may come by itself."""
    try:
        models = [client.model(model)] if model else client.models()
    except CallFailed as err:
        return str(err) if err.may_pass else ""
    if any(one.version for one in models):
        return ""
    refusals = [
        f"{one.name} version {version} is refused: {reason}" for one in models for version, reason in one.refusals
    ]
    if refusals:
        return "; ".join(refusals)
    if not models:
        return "no model has been published yet"
    is_loading = any(one.state == "loading" for one in models)
    return f"the first version is being {'loaded' if is_loading else 'verified'}"
