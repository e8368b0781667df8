"""What a field means: the text below it in its model, read only when somebody asks."""

from __future__ import annotations

import ast
import inspect
import textwrap
from functools import cache

from safebench.card.base import Section


@cache
def descriptions(model: type[Section]) -> dict[str, str]:
    """Return the description of every field of a model, by name.

    pydantic can do this when a model is made, which costs every start of the program more than
    the models themselves.
    """
    found: dict[str, str] = {}
    for cls in reversed(model.__mro__):
        if issubclass(cls, Section) and cls is not Section:
            found |= _below_fields(cls)
    return {name: found[name] for name in model.model_fields if name in found}


def _below_fields(cls: type[Section]) -> dict[str, str]:
    tree = ast.parse(textwrap.dedent(inspect.getsource(cls))).body[0]
    assert isinstance(tree, ast.ClassDef)  # noqa: S101 - the source of a class is one
    return {
        field.target.id: inspect.cleandoc(text.value.value)
        for field, text in zip(tree.body, tree.body[1:], strict=False)
        if isinstance(field, ast.AnnAssign)
        and isinstance(field.target, ast.Name)
        and isinstance(text, ast.Expr)
        and isinstance(text.value, ast.Constant)
        and isinstance(text.value.value, str)
    }
