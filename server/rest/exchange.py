"""One HTTP request and its response: headers, query, a body of limited size, compression."""

import asyncio
import gzip
from urllib.parse import parse_qsl

from vouch.server.budget import Hold
from vouch.server.errors import InvalidRequest, MessageTooLarge, UnsupportedMedia, quoted
from vouch.server.rest.content import Content
from vouch.server.rest.headers import ACCEPT_ENCODING, ANSWER_ENCODING, BODY_ENCODING, ENCODINGS
from vouch.server.rpc.method import Serialized
from vouch.server.rpc.waiting import CallerLeft
from vouch.server.transport.asgi_request import AsgiRequest, Receive, Scope, Send, body_event, body_events
from vouch.server.transport.inflating import WINDOW_BITS
from vouch.server.transport.intake import Intake
from vouch.server.transport.joining import joined

WORTH_GZIP_BYTES, AT_ONCE_BYTES = 1 << 11, 1 << 16
"""Responses from the first size on are compressed for callers who accept that; up to the second, on the event loop."""
GZIP_LEVEL = 1
NEVER = ("q=0", "q=0.0", "q=0.00", "q=0.000")
"""Weights that exclude an encoding."""
WITHOUT_BODY = (204, 304)
"""Status codes of responses without a body or its length."""
MAX_QUERY_FIELDS = 20


class Exchange(AsgiRequest):
    """One request, and its response."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, intake: Intake) -> None:
        super().__init__(scope, receive, send, intake)
        self.verb: str = scope["method"]
        self.path: str = scope["path"]
        self.headers_of_answer: list[tuple[bytes, bytes]] = [(b"x-content-type-options", b"nosniff")]
        """Headers of every response to this request, in addition to the response's own."""
        self._query: bytes = scope["query_string"]
        self._begun = False

    def header(self, name: bytes) -> str:
        """The value of a header; empty if it is missing.

        Args:
            name: in lower case.
        """
        return self._headers.get(name, b"").decode("latin-1")

    @property
    def media_type(self) -> str:
        """The body's media type without parameters, in lower case; empty if not given."""
        return self.header(b"content-type").partition(";")[0].strip().lower()

    def query(self, known: tuple[str, ...] = ()) -> dict[str, str]:
        """The fields of the query.

        Raises:
            InvalidRequest: an unknown field, or one given twice.
        """
        try:
            pairs = parse_qsl(
                self._query.decode("latin-1"), keep_blank_values=True, max_num_fields=MAX_QUERY_FIELDS, errors="strict"
            )
        except ValueError as err:
            raise InvalidRequest(f"the query cannot be read: {err}") from err
        fields = dict(pairs)
        for name in fields:
            if name not in known:
                expected = f"expected {', '.join(known)}" if known else "none is expected here"
                raise InvalidRequest(f"unknown query parameter {quoted(name)}: {expected}")
        if len(fields) < len(pairs):
            raise InvalidRequest("a query parameter is given twice; expected each once")
        return fields

    async def body(self, hold: Hold) -> Serialized:
        """The whole body, decompressed; the hold keeps its bytes.

        Raises:
            MessageTooLarge: it is over the limit of a message; the rest is not read.
            UnsupportedMedia: its encoding is not supported.
            InvalidRequest, Overloaded: as `Inflater.inflated`; or the budget has no room for it, ever or now.
            CallerLeft: before the body was complete.
        """
        encoding = ENCODINGS.get(self.header(BODY_ENCODING.key).strip().lower())
        if encoding is None:
            raise UnsupportedMedia(f"expected an uncompressed body, or one in {' or '.join(WINDOW_BITS)}")
        content = await self._received(hold)
        if encoding == "identity" or not content:
            return content
        return await self.intake.inflater.inflated(content, encoding, hold, self.client)

    async def _received(self, hold: Hold) -> Serialized:
        most = self.intake.max_message_bytes
        length = self.header(b"content-length")
        if length.isdecimal() and int(length[:20]) > most:
            raise MessageTooLarge(f"the body has {length[:20]} bytes, and the limit is {most:,}")
        pieces, size, more = list[bytes](), 0, True
        with self.intake.arriving.message(hold) as arrival:
            while more:
                event = await self.receive()
                if event["type"] == "http.disconnect":
                    raise CallerLeft
                pieces.append(event.get("body", b""))
                size += len(pieces[-1])
                if size > most:
                    raise MessageTooLarge(f"the body has more than {most:,} bytes, which is the limit")
                arrival.came(len(pieces[-1]))
                more = event.get("more_body", False)
        return await joined(pieces)

    async def answer(self, content: Content) -> None:
        """Sends a whole response. Raises CallerLeft."""
        body, headers = content.body, [(name.encode(), value.encode()) for name, value in content.headers]
        if len(body) >= WORTH_GZIP_BYTES:
            headers.append((b"vary", ACCEPT_ENCODING.key))
            if _takes_gzip(self.header(ACCEPT_ENCODING.key)):
                body = _packed(body) if len(body) <= AT_ONCE_BYTES else await asyncio.to_thread(_packed, body)
                headers.append((ANSWER_ENCODING.key, b"gzip"))
        if content.status not in WITHOUT_BODY:
            headers += [(b"content-type", content.media_type.encode()), (b"content-length", b"%d" % len(body))]
        await self.begin(content.status, headers)
        await self.put(body_events((body if self.verb != "HEAD" else b"",)))

    async def begin(self, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        """Sends the start of a response. Raises CallerLeft."""
        self._begun = True
        await self.put(
            ({"type": "http.response.start", "status": status, "headers": [*self.headers_of_answer, *headers]},)
        )

    @property
    def has_begun(self) -> bool:
        """Whether the response has begun, so that its status can no longer change."""
        return self._begun

    async def more(self, content: bytes, ends: bool = False) -> None:
        """Sends a part of the body. Raises CallerLeft."""
        await self.put((body_event(content, not ends),))


def _takes_gzip(accepted: str) -> bool:
    """Whether an Accept-Encoding accepts gzip, by name or by `*`."""
    weights = dict[str, str]()
    for one in accepted.lower().split(","):
        name, _, weight = one.partition(";")
        weights[name.strip()] = weight.replace(" ", "")
    weight = weights.get("gzip", weights.get("*", NEVER[0]))
    return weight not in NEVER


def _packed(body: bytes) -> bytes:
    return gzip.compress(body, GZIP_LEVEL, mtime=0)
