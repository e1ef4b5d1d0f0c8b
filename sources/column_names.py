"""Usual names of columns in a table of labels. Reads no file."""

import re


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


LABEL = _words(
    "annotation breed category categories class classes classid classlabel classname diagnosis digit dx emotion "
    "expression finding findings findinglabels genus groundtruth gt kind label labelid labelname labels letter level "
    "species tag tags target targets variety y"
)
FILE = _words(
    "file filename filenames filepath filepaths files fname id image imageid imagefile imageindex imagename imagepath "
    "images img imgfile imgid imgname imgpath name path paths photo photoid picture relpath"
)
SPLIT = _words("dataset datasplit partition phase set split subset usage")
SURELY_SPLIT = _words("datasplit partition split subset")
"""The names in `SPLIT` that have no other meaning."""
INDEX = frozenset({"", "id", "idx", "index", "no", "nr", "row", "rowid", "unnamed0"})
"""Names of columns that number the lines; pandas names such a column `Unnamed: 0`."""


def plain(name: str) -> str:
    """A column's name for comparing with these: ` File_Name ` gives `filename`."""
    return re.sub(r"[\s_.:#\-\"'\ufeff]+", "", name).lower()


def tidy(name: str) -> str:
    """A column's name for messages: without surrounding blanks, quotes or byte order mark."""
    return name.strip(" \t\r\n\"'\ufeff")


def listed(names: list[str], most: int = 5) -> str:
    """`a, b, c, ...`, short enough for a message; a column without a name is `''`."""
    return ", ".join(name[:30] or "''" for name in names[:most]) + (", ..." if len(names) > most else "")
