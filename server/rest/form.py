"""Forms with files: multipart/form-data (RFC 7578), read from a complete body."""

import asyncio
from dataclasses import dataclass, field

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from vouch.server.budget import Hold
from vouch.server.errors import InvalidRequest
from vouch.server.rpc.method import Serialized

MEDIA_TYPE = "multipart/form-data"
AT_ONCE_BYTES = 1 << 13
"""Bodies up to this size are read on the event loop: about a hundred parts, four milliseconds."""
PIECE_BYTES = 1 << 18
"""Bytes of a body that are read in one go."""
MOST_FIELDS, MOST_FIELD_BYTES, MOST_HEADER_BYTES = 20, 1000, 8192
"""Most fields of a form without its files; most bytes of such a field; most bytes of a part's headers."""


@dataclass
class Form:
    """The contents of a form."""

    files: list[bytearray] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    """The caller's names of the files."""
    fields: dict[str, str] = field(default_factory=dict)


async def read_form(body: Serialized, content_type: str, most_files: int, hold: Hold) -> Form:
    """The form in a body.

    Args:
        content_type: the header, which names the boundary.
        hold: takes the bytes of the files a second time, because they are copied.

    Raises:
        InvalidRequest: it is not a valid form, it is incomplete, or it has too many parts.
    """
    _, options = parse_options_header(content_type)
    boundary = options.get(b"boundary", b"")
    if not 1 <= len(boundary) <= 70:
        raise InvalidRequest("expected a boundary of 1 to 70 characters in the Content-Type of a form")
    hold.take("received", len(body))
    reader = _Reader(boundary, most_files)
    if len(body) <= AT_ONCE_BYTES:
        return reader.read(body)
    return await asyncio.to_thread(reader.read, body)


class _Reader:
    """Collects the parts that the parser finds."""

    def __init__(self, boundary: bytes, most_files: int) -> None:
        self._form = Form()
        self._most_files = most_files
        self._ended = False
        self._header_name, self._header_value = b"", b""
        self._headers: dict[bytes, bytes] = {}
        self._header_bytes = 0
        self._content = bytearray()
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._begin_part,
                "on_header_field": self._add_name,
                "on_header_value": self._add_value,
                "on_header_end": self._end_header,
                "on_part_data": self._add_content,
                "on_part_end": self._end_part,
                "on_end": self._end,
            },
        )

    def read(self, body: Serialized) -> Form:
        """Reads the whole form."""
        try:
            view = memoryview(body)
            for at in range(0, len(body), PIECE_BYTES):  # between two, others have their turn
                self._parser.write(bytes(view[at : at + PIECE_BYTES]))
            self._parser.finalize()
        except FormParserError as err:
            raise InvalidRequest(f"the form cannot be read: {err}") from err
        if not self._ended:
            raise InvalidRequest("the form is incomplete: its last boundary is missing")
        return self._form

    def _begin_part(self) -> None:
        self._headers, self._content, self._header_bytes = {}, bytearray(), 0

    def _add_name(self, data: bytes, start: int, stop: int) -> None:
        self._header_name += data[start:stop]

    def _add_value(self, data: bytes, start: int, stop: int) -> None:
        self._header_value += data[start:stop]

    def _end_header(self) -> None:
        self._headers[self._header_name.lower()] = self._header_value
        self._header_bytes += len(self._header_name) + len(self._header_value)
        if self._header_bytes > MOST_HEADER_BYTES:
            raise InvalidRequest(f"a part of the form has more than {MOST_HEADER_BYTES:,} bytes of headers")
        self._header_name, self._header_value = b"", b""

    def _add_content(self, data: bytes, start: int, stop: int) -> None:
        self._content += memoryview(data)[start:stop]

    def _end_part(self) -> None:
        kind, options = parse_options_header(self._headers.get(b"content-disposition", b""))
        if kind != b"form-data" or b"name" not in options:
            raise InvalidRequest("expected each part of the form to have a Content-Disposition of form-data and a name")
        form, name = self._form, options[b"name"].decode(errors="replace")
        if b"filename" in options:
            if len(form.files) == self._most_files:
                raise InvalidRequest(f"expected at most {self._most_files:,} files in a request")
            form.files.append(self._content)
            form.names.append(options[b"filename"].decode(errors="replace"))
            return
        if len(form.fields) == MOST_FIELDS or len(self._content) > MOST_FIELD_BYTES or name in form.fields:
            raise InvalidRequest(
                f"expected at most {MOST_FIELDS} fields in addition to the files, each once and with at most "
                f"{MOST_FIELD_BYTES:,} bytes"
            )
        form.fields[name] = self._content.decode(errors="replace")

    def _end(self) -> None:
        self._ended = True
