"""Who may call: asked of every call that the gate lets in, before anything of it is read. A seam: everybody may."""

from collections.abc import Callable

from vouch.server.rpc.context import CallContext
from vouch.server.rpc.method import Method

Admit = Callable[[Method, CallContext], None]
"""(what is called, with `context.caller` who calls) -> nothing; or raises a DomainError, which the caller is told.

It must not wait: a transport's headers may be gone after the first wait."""


def everybody(method: Method, context: CallContext) -> None:
    """Nobody is turned away."""
