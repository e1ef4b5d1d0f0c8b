"""Requests that their path says whole, and answers that are their message as JSON."""

from collections.abc import Callable, Mapping
from functools import partial
from http import HTTPStatus
from typing import Any

from google.protobuf.message import Message

from vouch.server.budget import Hold
from vouch.server.rest.content import Content, json_content
from vouch.server.rest.exchange import Exchange
from vouch.server.rest.messages import as_json
from vouch.server.rest.problem import problem
from vouch.server.rest.route import READS, Asked, Read

Show = Callable[[Any], Content]
"""From a message to what is answered."""


def asking(request: type[Message], answer: type[Message], show: Show, **fields: str) -> Read:
    """A request of this type, whose fields are values of the path, and its answer.

    Args:
        fields: of the message -> the path's value.
    """

    def read(values: Mapping[str, str]) -> Asked:
        message = request(**{field: values[name] for field, name in fields.items() if name in values})
        return Asked(message.SerializeToString(), partial(_written, answer, show))

    return _without_body(read)


def _written(answer: type[Message], show: Show, message: bytes) -> Content:
    return show(answer.FromString(message))


def _without_body(read: Callable[[Mapping[str, str]], Asked]) -> Read:
    async def read_exchange(exchange: Exchange, values: Mapping[str, str], hold: Hold) -> Asked:
        exchange.query()
        if exchange.verb not in READS:
            await exchange.body(hold)  # Triton's clients send some, which says nothing here
        return read(values)

    return read_exchange


def whole(message: Message) -> Content:
    """All of it."""
    return json_content(as_json(message))


def part(field: str) -> Show:
    """One field of it, as the whole answer."""

    def show(message: Message) -> Content:
        return json_content(as_json(message)[field])

    return show


def yes_or_no(field: str, no: str) -> Show:
    """200 where the field is true, else 503.

    Args:
        no: what the problem says.
    """

    def show(message: Message) -> Content:
        if getattr(message, field):
            return json_content({field: True})
        return problem(HTTPStatus.SERVICE_UNAVAILABLE, no)

    return show
