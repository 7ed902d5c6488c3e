"""Writes `docs/reference/sizing.md` from the docstrings of what `moltghost.sizing` exports.

`make docs` runs it, and a test fails when the page isn't what it would write.
"""

from __future__ import annotations

import dataclasses
import inspect
import re
from collections.abc import Callable
from pathlib import Path

from moltghost import sizing

PAGE = Path(__file__).parents[1] / "docs" / "reference" / "sizing.md"

_INTRO = """\
# The sizing library

Written by `make docs` from the docstrings of `moltghost.sizing`; don't edit it here.

Pure functions: no I/O beyond reading the catalogue once, no Pulumi, no AWS.
[Sizing](../sizing.md) says how it is computed and how far to trust it.
"""


def page() -> str:
    """The text of the page: functions first, then types, each by name."""
    exported = {name: getattr(sizing, name) for name in sorted(sizing.__all__, key=str.lower)}
    functions = {name: each for name, each in exported.items() if inspect.isfunction(each)}
    types = {name: each for name, each in exported.items() if inspect.isclass(each)}
    sections = [
        "## Functions\n",
        *(_section(name, _signature(name, each), each) for name, each in functions.items()),
        "## Types\n",
        *(_section(name, _fields(name, each), each) for name, each in types.items()),
    ]
    return "\n".join([_INTRO, *sections])


def _signature(name: str, function: Callable[..., object]) -> str:
    # Annotations are text already; the quotes that `inspect` puts around them say nothing.
    text = re.sub(r"(: |-> )'([^']*)'", r"\1\2", str(inspect.signature(function)))
    return f"def {name}{text}"


def _fields(name: str, kind: type) -> str:
    if not dataclasses.is_dataclass(kind):
        return name
    lines = [f"    {field.name}: {field.type}" for field in dataclasses.fields(kind)]
    return "\n".join([f"class {name}:", *lines])


def _section(name: str, declaration: str, each: object) -> str:
    words = inspect.getdoc(each) or ""
    return f"### {name}\n\n```python\n{declaration}\n```\n\n```text\n{words}\n```\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
