"""Requests fully given by their path, and responses that are a message as JSON."""

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
"""A message -> the content of the response."""


def asking(request: type[Message], answer: type[Message], show: Show, **fields: str) -> Read:
    """Reads a request whose fields are values in the path, and shows its response.

    Args:
        fields: field of the message -> name of the value in the path.
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
            await exchange.body(hold)  # Triton's clients send one, which has no meaning here
        return read(values)

    return read_exchange


def whole(message: Message) -> Content:
    """Shows the whole message."""
    return json_content(as_json(message))


def part(field: str) -> Show:
    """Shows only one field of a message."""

    def show(message: Message) -> Content:
        return json_content(as_json(message)[field])

    return show


def yes_or_no(field: str, no: str) -> Show:
    """Shows 200 if the field is true, else 503.

    Args:
        no: the problem's detail.
    """

    def show(message: Message) -> Content:
        if getattr(message, field):
            return json_content({field: True})
        return problem(HTTPStatus.SERVICE_UNAVAILABLE, no)

    return show
