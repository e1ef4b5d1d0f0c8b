"""What a stranger reads first: that it stays short, leads somewhere, and tells nobody to install another's package."""

import re
import subprocess
from pathlib import Path

import pytest

import vouch

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
LINK = re.compile(r"\]\(([^)#\s]+)(#[^)\s]*)?\)")
MAX_LINE = 120


def test_the_readme_is_short() -> None:
    """Whoever comes here first reads it whole."""
    lines = (ROOT / "README.md").read_text("utf-8").splitlines()

    assert len(lines) <= 110
    assert [line for line in lines if len(line) > MAX_LINE] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_page_has_no_long_lines(page: Path) -> None:
    """Rows of a table cannot be wrapped, nor can commands; all else is."""
    lines = page.read_text("utf-8").splitlines()

    assert [line for line in lines if len(line) > MAX_LINE and not line.startswith(("|", "    "))] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_within_the_repository_leads_somewhere(page: Path) -> None:
    """To a file or a folder, and to a heading of that page where one is named."""
    for target, heading in LINK.findall(page.read_text("utf-8")):
        if "://" in target:
            continue
        found = (page.parent / target).resolve()
        assert found.exists(), f"{page.name}: {target}"
        if heading:
            assert heading[1:] in headings(found), f"{page.name}: {target}{heading}"


def test_pictures_are_there_and_small() -> None:
    """A README is read over slow connections too; `make pictures` writes them."""
    shown = re.findall(r'<img src="([^"]+)"', (ROOT / "README.md").read_text("utf-8"))
    sizes = {str(path.relative_to(ROOT)): path.stat().st_size for path in ROOT.glob("docs/pictures/*.png")}

    assert set(shown) <= sizes.keys()
    assert shown
    assert max(sizes.values()) < 150_000


def headings(page: Path) -> set[str]:
    """As links name them."""
    titles = re.findall(r"^#+ (.*)$", page.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def test_nobody_is_told_to_install_somebody_elses_package() -> None:
    """The name vouch on PyPI is not ours; ours is vouch-onnx."""
    wrong = r"pip install[^#\n]*[\s'\"]vouch([\s'\"\[=]|$)"
    done = subprocess.run(
        ["git", "-C", str(ROOT), "grep", "-nIP", wrong, "--", ".", ":!tests/test_docs.py"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert done.stdout == ""
    assert done.returncode == 1, done.stderr


def test_the_changelog_begins_with_this_version() -> None:
    """Whoever raises the version says what is new."""
    first = re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE)

    assert first is not None
    assert first[1] == vouch.__version__
