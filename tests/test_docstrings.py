"""What ``help()`` shows is what the stub says, and a constructor's keywords can be completed."""

from __future__ import annotations

import ast
import inspect
from pathlib import Path

import pytest

import coinmill
from coinmill import _core

STUB = ast.parse((Path(coinmill.__file__).parent / "_core.pyi").read_text())


def documented() -> dict[str, str]:
    """The stub's docstrings by name, such as ``Mill.runs``."""
    found = {}
    for node in STUB.body:
        inside = node.body if isinstance(node, ast.ClassDef) else []
        for item, prefix in [(node, ""), *((item, f"{getattr(node, 'name', '')}.") for item in inside)]:
            if isinstance(item, (ast.ClassDef, ast.FunctionDef)) and (doc := ast.get_docstring(item)):
                found[f"{prefix}{item.name}"] = doc
    return found


@pytest.mark.parametrize(("name", "doc"), documented().items())
def test_help_shows_what_the_stub_says(name: str, doc: str) -> None:
    thing: object = _core
    for part in name.split("."):
        thing = getattr(thing, part)
    assert inspect.getdoc(thing) == doc


def test_no_public_method_is_without_a_docstring() -> None:
    for cls in (coinmill.Mill, coinmill.Frame, coinmill.Sim):
        assert not [
            name for name in vars(cls) if not name.startswith("_") and f"{cls.__name__}.{name}" not in documented()
        ]


def test_the_keywords_of_a_mill_can_be_completed() -> None:
    (mill,) = [node for node in STUB.body if isinstance(node, ast.ClassDef) and node.name == "Mill"]
    (new,) = [node for node in mill.body if isinstance(node, ast.FunctionDef) and node.name == "__new__"]
    parameters = inspect.signature(coinmill.Mill).parameters
    assert list(parameters) == [argument.arg for argument in new.args.kwonlyargs] + ["settings"]
    assert parameters["top"].kind is inspect.Parameter.KEYWORD_ONLY
