"""CITATION.cff, by the rules of https://github.com/citation-file-format, version 1.2.0."""

import tomllib
from pathlib import Path

import yaml

import vouch

ROOT = Path(__file__).resolve().parent.parent
KEYS = {
    *("abstract", "authors", "cff-version", "commit", "contact", "date-released", "doi", "identifiers", "keywords"),
    *("license", "license-url", "message", "preferred-citation", "references", "repository", "repository-artifact"),
    *("repository-code", "title", "type", "url", "version"),
}
REQUIRED = {"authors", "cff-version", "message", "title"}
OF_AN_ENTITY = {
    *("name", "address", "alias", "city", "country", "date-end", "date-start", "email", "fax", "location", "orcid"),
    *("post-code", "region", "tel", "website"),
}


def test_the_citation_is_valid_and_of_this_version() -> None:
    """The keys that the format has and needs; version and licence are those of the package."""
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]

    assert REQUIRED <= citation.keys() <= KEYS
    assert (citation["cff-version"], citation["type"]) == ("1.2.0", "software")
    assert all({"name"} <= author.keys() <= OF_AN_ENTITY for author in citation["authors"])
    assert [author["name"] for author in citation["authors"]] == [author["name"] for author in project["authors"]]
    assert citation["license"] == project["license"]
    assert citation["version"] == vouch.__version__
    assert len(set(citation["keywords"])) == len(citation["keywords"])
