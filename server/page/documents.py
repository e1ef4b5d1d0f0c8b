"""The documents of a version: facts, report, card, example images and latency.

A bundle comes from somebody else, so its report is untrusted: it may run scripts, but it can read nothing of this
server and load nothing. Report and images may be private, so they are shown only if the server listens on a loopback
address, or if a setting allows it.
"""

import asyncio
from collections.abc import Mapping
from http import HTTPStatus

from vouch.bundle.errors import BundleError
from vouch.bundle.listed import CARD, REPORT
from vouch.server.errors import BundleGone, UnknownModel
from vouch.server.page.about import about
from vouch.server.page.examples import Example, Examples
from vouch.server.page.latency import latency
from vouch.server.rest.content import Content, json_content
from vouch.server.rest.exchange import Exchange
from vouch.server.rest.problem import Refused
from vouch.server.rest.route import Page
from vouch.server.services.oip.statistics import Total
from vouch.server.serving.catalog import Catalog
from vouch.server.serving.served import Served

VERSION = "/v1/models/{model}/versions/{version}"
STRANGER = "; ".join(
    (
        "sandbox allow-scripts",
        "default-src 'none'",
        "script-src 'unsafe-inline'",
        "style-src 'unsafe-inline'",
        "img-src data:",
        "connect-src 'none'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
"""Without `allow-same-origin`, a page has an origin of its own, and it may load nothing. No policy can prevent that a
script navigates to another page."""
INERT = "sandbox; default-src 'none'"
PRIVATE = (("cache-control", "private, no-cache"), ("cross-origin-resource-policy", "same-origin"))
MAX_DOCUMENT_BYTES = 32 << 20
"""A larger report or card is not served; it can be read in the bundle's folder."""


class Documents:
    """The documents of all served versions. Belongs to one event loop."""

    def __init__(self, catalog: Catalog, total: Total, shows_images: bool) -> None:
        """
        Args:
            total: returns the counts of all workers.
            shows_images: whether reports and example images are shown.
        """
        self._catalog = catalog
        self._total = total
        self._shows_images = shows_images
        self._examples = Examples()
        self._reading = asyncio.Semaphore(1)

    def pages(self) -> list[Page]:
        """Their paths."""
        found = (
            ("about", self._about, "Network, documents and confusion matrix, as JSON"),
            (
                "latency",
                self._latency,
                "Answered requests, and the time within which 50 % and 99 % were answered, as JSON",
            ),
            ("card", self._card, "The model card, as text"),
            ("report", self._report, "The learning report"),
            ("examples", self._list, "Example images with their labels and answers, as JSON"),
            ("examples/{number}", self._example, "An example image: PNG, JPEG or WebP"),
        )
        return [Page("GET", f"{VERSION}/{part}", answer, summary) for part, answer, summary in found]

    async def _about(self, exchange: Exchange, values: Mapping[str, str]) -> Content:
        return json_content(about(self._served(values).bundle.manifest, self._shows_images))

    async def _latency(self, exchange: Exchange, values: Mapping[str, str]) -> Content:
        served = self._served(values)
        counts = (await self._total()).versions.get(served.name, {}).get(served.version, served.statistics)
        return json_content(latency(counts.requests))

    async def _card(self, exchange: Exchange, values: Mapping[str, str]) -> Content:
        body = await self._read(self._served(values), CARD)
        return Content(body, "text/plain; charset=utf-8", headers=(("content-security-policy", INERT), *PRIVATE))

    async def _report(self, exchange: Exchange, values: Mapping[str, str]) -> Content:
        self._check_shown()
        body = await self._read(self._served(values), REPORT)
        return Content(body, "text/html; charset=utf-8", headers=(("content-security-policy", STRANGER), *PRIVATE))

    async def _list(self, exchange: Exchange, values: Mapping[str, str]) -> Content:
        self._check_shown()
        chosen = await self._chosen(self._served(values))
        fields = ("number", "labels", "answers", "probability")
        return json_content({"examples": [{name: getattr(one, name) for name in fields} for one in chosen.values()]})

    async def _example(self, exchange: Exchange, values: Mapping[str, str]) -> Content:
        self._check_shown()
        number, served = values["number"], self._served(values)
        example = {str(one.number): one for one in (await self._chosen(served)).values()}.get(number)
        if example is None:
            raise UnknownModel(f"{served.bundle} has no example image of that number; see its list of examples")
        headers = (("content-security-policy", INERT), *PRIVATE)
        return Content(example.content, example.content_type, headers=headers)

    def _served(self, values: Mapping[str, str]) -> Served:
        """The version that the path names. Raises UnknownModel, NotReady."""
        version = values["version"]
        if not (version.isascii() and version.isdecimal() and 0 < len(version) < 10 and int(version)):
            raise UnknownModel("versions are numbered from 1")
        return self._catalog.find(values["model"], int(version))

    def _check_shown(self) -> None:
        """Raises Refused."""
        if not self._shows_images:
            raise Refused(
                HTTPStatus.FORBIDDEN,
                "reports and example images are shown only if the server listens on a loopback address; --show-images "
                "allows them elsewhere",
            )

    async def _chosen(self, served: Served) -> Mapping[int, Example]:
        try:
            return await self._examples.of(served)
        except BundleError as err:
            raise BundleGone(f"the validation split of {served.bundle} is no longer as published") from err

    async def _read(self, served: Served, name: str) -> bytes:
        """One file at a time. Raises UnknownModel, BundleGone."""
        entry = served.bundle.manifest.files.get(name)
        if entry is None or entry.size > MAX_DOCUMENT_BYTES:
            raise UnknownModel(f"{served.bundle} has no {name} of at most {MAX_DOCUMENT_BYTES >> 20} MiB")
        async with self._reading:
            try:
                return await asyncio.to_thread(served.bundle.read, name)
            except BundleError as err:
                raise BundleGone(f"{name} of {served.bundle} is no longer as published") from err
