"""How tests use the page: they open it, draw on it, and wait for its answer."""

from typing import Literal

from playwright.sync_api import Browser, Page, expect

from tests.support.page_server import PageServer

DESKTOP, PHONE = 1280, 390
"""Widths in pixels."""
SEVEN = ((0.3, 0.2), (0.7, 0.2), (0.45, 0.8))
WHOLE_SEVEN = """() => {
  const sight = document.getElementById("sight");
  const copy = new OffscreenCanvas(sight.width, sight.height).getContext("2d", { willReadFrequently: true });
  copy.drawImage(sight, 0, 0);
  const pixels = copy.getImageData(0, 0, sight.width, sight.height).data;
  const shades = pixels.filter((_, i) => i % 4 === 0);
  return shades.length === 64 && Math.max(...shades.slice(0, 8)) > 100 && Math.max(...shades.slice(-8)) > 100
    && shades[0] < 50;
}"""
"""Whether the model sees 8 x 8 pixels with ink in the first row and in the last, and none in the first corner.

A copy is read, because Chromium complains of a canvas that is read again and again.
"""


def opened(browser: Browser, server: PageServer, width: int, scheme: Literal["light", "dark"] = "light") -> Page:
    """The page, when the model is shown. A phone is touched, and has a camera."""
    on_phone = width == PHONE
    page = browser.new_page(
        viewport={"width": width, "height": 900}, color_scheme=scheme, has_touch=on_phone, is_mobile=on_phone
    )
    page.set_default_timeout(20_000)
    page.goto(server.url)
    page.locator("#trust p").first.wait_for()
    return page


def draw(page: Page, *points: tuple[float, float]) -> None:
    """A stroke from point to point, in shares of the pad, once the page no longer moves."""
    pad = page.locator("#pad")
    pad.hover()
    box = pad.bounding_box()
    assert box is not None
    for number, (x, y) in enumerate(points):
        page.mouse.move(box["x"] + x * box["width"], box["y"] + y * box["height"], steps=8 if number else 1)
        if not number:
            page.mouse.down()
    page.mouse.up()


def says(page: Page, label: str) -> None:
    """Waits until the model has answered this."""
    expect(page.locator("#answer[aria-busy=false] span")).to_have_text(label, timeout=20_000)
