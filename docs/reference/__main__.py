"""Writes the reference pages: `python -m docs.reference`, or `make reference`."""

from docs.reference import pages

for file, text in pages():
    file.write_text(text, "utf-8")
