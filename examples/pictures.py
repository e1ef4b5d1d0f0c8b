"""The pictures of README and tutorial: parts of a real learning report, taken in headless Chromium. `make pictures`.

It trains the linear model on the digits in a temporary folder (seconds), opens the report of that training, and writes
docs/pictures/*.png. The digits may be copied; photographs of others are never part of a picture here.
"""

import shutil
import subprocess
import sys
import tempfile
from io import BytesIO
from pathlib import Path

from PIL import Image
from playwright.sync_api import FloatRect, Page, sync_playwright

PICTURES = Path(__file__).resolve().parent.parent / "docs" / "pictures"
MAX_BYTES = 150_000
"""Of a picture: a README is read over slow connections too."""
WIDTH, HEIGHT = 1000, 800
"""Of the window, in pixels."""
TOP: FloatRect = {"x": 0, "y": 60, "width": WIDTH, "height": HEIGHT - 60}
"""What report.png shows: the report without its upper margin."""
PARTS = {
    "scores.png": "#scores figure",
    "weights.png": "#layers figure",
    "opposite.png": "#opposite figure",
    "confusion.png": "#confusion table",
}
"""Picture -> the first element of the report that it shows. """
TRAIN_TIMEOUT_S, PAGE_TIMEOUT_MS = 300.0, 30_000.0


def main() -> None:
    """Writes all pictures."""
    chromium = shutil.which("chromium")
    if chromium is None:
        raise SystemExit("Chromium is not installed: make browser")
    PICTURES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        report = trained_report(Path(folder))
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT}, color_scheme="light")
        page.set_default_timeout(PAGE_TIMEOUT_MS)
        page.goto(report.as_uri())
        write("report.png", page.screenshot(clip=TOP))
        for name, selector in PARTS.items():
            write(name, part(page, selector))
        browser.close()


def trained_report(folder: Path) -> Path:
    """The report of the linear model, trained on the digits."""
    command = ["train", "digits", "--model", "linear", "--models", str(folder)]
    subprocess.run([sys.executable, "-m", "vouch", *command], check=True, timeout=TRAIN_TIMEOUT_S)
    return folder / "digits" / "1" / "report.html"


def part(page: Page, selector: str) -> bytes:
    """A PNG of the first such element."""
    return page.locator(selector).first.screenshot()


def write(name: str, png: bytes) -> None:
    """The same with a palette of 64 colours, which makes a third of it."""
    picture = Image.open(BytesIO(png)).convert("RGB").quantize(64, dither=Image.Dither.NONE)
    small = BytesIO()
    picture.save(small, "PNG", optimize=True)
    if len(small.getvalue()) > MAX_BYTES:
        raise SystemExit(f"{name} has {len(small.getvalue()):,} bytes, and a picture may have {MAX_BYTES:,}")
    (PICTURES / name).write_bytes(small.getvalue())
    print(f"docs/pictures/{name}: {picture.width} x {picture.height}, {len(small.getvalue()):,} bytes")


if __name__ == "__main__":
    main()
