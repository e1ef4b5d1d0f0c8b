"""docs/decisions.md leads to every decision."""

import re
from pathlib import Path

DOCS = Path(__file__).resolve().parent.parent / "docs"
MOST_LINES = 400


def test_every_decision_is_headed_by_its_question_and_listed() -> None:
    """Who looks for a reason reads one list of questions, in the order of the files; tests/test_docs.py follows it."""
    index = (DOCS / "decisions.md").read_text("utf-8")
    listed = re.findall(r"^\| \[(.+)\]\(decisions/([a-z]+\.md)#", index, re.MULTILINE)
    files = re.findall(r"^## \[.+\]\(decisions/([a-z]+\.md)\)$", index, re.MULTILINE)
    questions = [(question, file) for file in files for question in headings(DOCS / "decisions" / file)]

    assert listed == questions
    assert sorted(files) == sorted(page.name for page in (DOCS / "decisions").iterdir())
    assert [question for question, _ in questions if not question.endswith("?")] == []


def test_no_page_of_decisions_is_too_long_to_be_read() -> None:
    """A topic that grows beyond it is two topics."""
    lengths = {page.name: len(page.read_text("utf-8").splitlines()) for page in (DOCS / "decisions").iterdir()}

    assert {name: lines for name, lines in lengths.items() if lines > MOST_LINES} == {}


def headings(page: Path) -> list[str]:
    return re.findall(r"^## (.+)$", page.read_text("utf-8"), re.MULTILINE)
