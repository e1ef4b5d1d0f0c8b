"""What a page is made of, for tests to look at."""

import json
import re
from html.parser import HTMLParser
from typing import Any


class Page(HTMLParser):
    """Text, ids, references and scripts of a page."""

    def __init__(self, content: bytes) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.tags: list[str] = []
        self.attributes: set[str] = set()
        self.alts: list[str | None] = []
        self.text = ""
        self.feed(content.decode())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.tags.append(tag)
        self.attributes |= values.keys()
        self.ids += [value for key, value in attrs if key == "id" and value]
        self.links += [value for key, value in attrs if key in ("href", "src") and value]
        if tag == "img":
            self.alts.append(values.get("alt"))

    def handle_data(self, data: str) -> None:
        self.text += data


def data_of(content: bytes) -> dict[str, Any]:
    """What the page's script shows behind the confusion matrix."""
    found = re.search(r'<script type="application/json" id="gallery-data">(.*?)</script>', content.decode(), re.DOTALL)
    assert found
    data: dict[str, Any] = json.loads(found[1])
    return data
