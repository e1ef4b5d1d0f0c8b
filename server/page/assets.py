"""The page's own files, and their policy: a browser may load nothing from other servers."""

from collections.abc import Mapping
from hashlib import sha256
from importlib.resources import files

from vouch.server.rest.content import Content
from vouch.server.rest.exchange import Exchange
from vouch.server.rest.route import Page

POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' blob:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
    )
)
"""https://www.w3.org/TR/CSP3/; `blob:` is for images dropped on the page."""
HEADERS = (
    ("content-security-policy", POLICY),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
    ("referrer-policy", "no-referrer"),
    ("cache-control", "no-cache"),
)
INDEX = "index.html"
MEDIA_TYPES = {
    "css": "text/css; charset=utf-8",
    "html": "text/html; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}


def asset_pages() -> list[Page]:
    """`/` and the files that it loads."""
    folder = files("vouch.server.page") / "static"
    found = {file.name: file.read_bytes() for file in folder.iterdir()}
    return [_asset(f"/page/{name}" if name != INDEX else "/", name, body) for name, body in sorted(found.items())]


def _asset(path: str, name: str, body: bytes) -> Page:
    tag = f'W/"{sha256(body).hexdigest()[:16]}"'  # weak: the same with and without compression
    headers = (*HEADERS, ("etag", tag))
    whole = Content(body, MEDIA_TYPES[name.rpartition(".")[2]], headers=headers)
    unchanged = Content(b"", whole.media_type, 304, headers)

    async def answer(exchange: Exchange, _: Mapping[str, str]) -> Content:
        known = {one.strip() for one in exchange.header(b"if-none-match").split(",")}
        return unchanged if tag in known else whole

    return Page("GET", path, answer, "The page" if name == INDEX else "A file of the page")
