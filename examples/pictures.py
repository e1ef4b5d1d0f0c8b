"""Makes the pictures of README and tutorial in headless Chromium: `make pictures`.

It trains the linear model on the digits in a temporary folder (seconds) and takes screenshots of its learning report.
Then it serves the model, draws a 7 on the server's page, and takes a screenshot. The digits may be copied; the pictures
never contain other people's photographs.
"""

import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

from PIL import Image
from playwright.sync_api import FloatRect, Page, sync_playwright

from vouch import Client

PICTURES = Path(__file__).resolve().parent.parent / "docs" / "pictures"
MAX_BYTES = 150_000
"""The most bytes of a picture: a README must load fast."""
WIDTH, HEIGHT = 1000, 800
"""Size of the window in pixels."""
TOP: FloatRect = {"x": 0, "y": 60, "width": WIDTH, "height": HEIGHT - 60}
"""What report.png shows: the report without its upper margin."""
PARTS = {
    "scores.png": "#scores figure",
    "weights.png": "#layers figure",
    "opposite.png": "#opposite figure",
    "confusion.png": "#confusion table",
}
"""Picture -> the first element of the report that it shows."""
SEVEN = ((0.3, 0.2), (0.7, 0.2), (0.45, 0.8))
"""A stroke on the page's pad, in shares of its sides."""
TRAIN_TIMEOUT_S, START_TIMEOUT_S, END_TIMEOUT_S, PAGE_TIMEOUT_MS = 300.0, 60.0, 60.0, 30_000.0


def main() -> None:
    """Writes all pictures."""
    chromium = shutil.which("chromium")
    if chromium is None:
        raise SystemExit("Chromium is not installed: make browser")
    PICTURES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        run("train", "digits", "--model", "linear", "--models", folder)
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT}, color_scheme="light")
        page.set_default_timeout(PAGE_TIMEOUT_MS)
        page.goto((Path(folder) / "digits" / "1" / "report.html").as_uri())
        write("report.png", page.screenshot(clip=TOP))
        for name, selector in PARTS.items():
            write(name, page.locator(selector).first.screenshot())
        with serving(folder) as address:
            page.goto(f"http://{address}/")
            draw(page)
            write("page.png", page.screenshot())
        browser.close()


def run(*words: str) -> None:
    """A vouch command."""
    subprocess.run([sys.executable, "-m", "vouch", *words], check=True, timeout=TRAIN_TIMEOUT_S)


@contextmanager
def serving(models: str) -> Iterator[str]:
    """`vouch serve` on a free port; yields its address when the model is served."""
    command = [sys.executable, "-m", "vouch", "serve", models, "--port", "0", "--metrics-port", "0", "--json"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert server.stdout is not None
    try:
        address = str(json.loads(server.stdout.readline())["address"])
        with Client(address) as client:
            deadline = time.monotonic() + START_TIMEOUT_S
            while not client.ready():
                if time.monotonic() > deadline:
                    raise SystemExit("the model was not served in time")
                time.sleep(0.1)
        yield address
    finally:
        server.terminate()
        server.wait(END_TIMEOUT_S)


def draw(page: Page) -> None:
    """Draws a 7 on the pad, once the page no longer moves, and waits for the answer."""
    pad = page.locator("#pad")
    pad.hover()
    box = pad.bounding_box()
    assert box is not None
    for number, (x, y) in enumerate(SEVEN):
        page.mouse.move(box["x"] + x * box["width"], box["y"] + y * box["height"], steps=8 if number else 1)
        if not number:
            page.mouse.down()
    page.mouse.up()
    page.locator("#answer[aria-busy=false] span").first.wait_for()


def write(name: str, png: bytes) -> None:
    """The same with a palette of 256 colours, which makes it much smaller."""
    picture = Image.open(BytesIO(png)).convert("RGB").quantize(256, dither=Image.Dither.NONE)
    small = BytesIO()
    picture.save(small, "PNG", optimize=True)
    if len(small.getvalue()) > MAX_BYTES:
        raise SystemExit(f"{name} has {len(small.getvalue()):,} bytes; the limit is {MAX_BYTES:,}")
    (PICTURES / name).write_bytes(small.getvalue())
    print(f"docs/pictures/{name}: {picture.width} x {picture.height}, {len(small.getvalue()):,} bytes")


if __name__ == "__main__":
    main()
