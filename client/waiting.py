"""Waits for a server that is starting, or whose first model is being trained."""

import time

from vouch.cli.console import say
from vouch.client.client import Client
from vouch.client.errors import CallFailed

INTERVAL_S = 0.5


def until_served(client: Client, model: str, wait_s: float) -> None:
    """Returns when the model is served, or when waiting does not help: then the call itself reports why.

    Prints what is missing on standard error, once for each change.

    Args:
        model: empty for any model.
    """
    ends, said = time.monotonic() + wait_s, ""
    while time.monotonic() < ends and (missing := _missing(client, model)):
        if missing != said:
            say(f"waiting up to {wait_s:g} s: {missing}")
            said = missing
        time.sleep(INTERVAL_S)


def _missing(client: Client, model: str) -> str:
    """What is missing; empty if nothing is, or if waiting does not help."""
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
        return "no model was published yet"
    is_loading = any(one.state == "loading" for one in models)
    return f"the first version is being {'loaded' if is_loading else 'verified'}"
