"""The docstrings below the fields of a settings class, read from its source only for the help.

Pydantic would read them in every process: 0.1 s for all processes of `vouch serve`.
"""

import ast
import inspect
from textwrap import dedent

from pydantic import BaseModel


def sentences(settings: type[BaseModel]) -> dict[str, str]:
    """Field -> the docstring below it, those of base classes included."""
    found: dict[str, str] = {}
    for one in reversed(settings.__mro__):
        if issubclass(one, BaseModel) and one is not BaseModel:
            found |= _sentences(dedent(inspect.getsource(one)))
    return found


def _sentences(source: str) -> dict[str, str]:
    (definition,) = ast.parse(source).body
    assert isinstance(definition, ast.ClassDef)
    return {
        field.target.id: below.value.value
        for field, below in zip(definition.body, definition.body[1:], strict=False)
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)
        if isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant) and isinstance(below.value.value, str)
    }
