"""Who may call: checked for every call that passes the gate, before it is read. By default everybody may."""

from collections.abc import Callable

from vouch.server.rpc.context import CallContext
from vouch.server.rpc.method import Method

Admit = Callable[[Method, CallContext], None]
"""(the called method, the context with its `caller`) -> nothing; or raises a DomainError, which the caller gets.

It must not wait: a transport's headers may be gone after the first wait."""


def everybody(method: Method, context: CallContext) -> None:
    """Admits every call."""
