"""Writes `docs/reference/config.md` from the pydantic models of `moltghost/config*.py`.

Names, types, limits and defaults come from the models; the sentences are the strings below the
fields. `make docs` runs it, and a test fails when the page isn't what it would write.
"""

from __future__ import annotations

import ast
import inspect
import json
from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from textwrap import dedent
from typing import Any, get_args

from pydantic import BaseModel, TypeAdapter

from moltghost import config, config_aws, config_fleet

PAGE = Path(__file__).parents[1] / "docs" / "reference" / "config.md"

# The heading of each model's section, from the lowest layer up.
SECTIONS: dict[type[BaseModel], str] = {
    config.EmbeddedCloudSpec: "kind: cloud, on this machine",
    config_aws.AwsCloudSpec: "kind: cloud, on AWS",
    config_aws.EndpointSpec: "The API endpoint",
    config_aws.SystemNodesSpec: "The system nodes",
    config_aws.ReservationSpec: "A reservation",
    config_aws.FixedGroupSpec: "A fixed node group",
    config.PlatformSpec: "kind: platform",
    config.PoolSpec: "A pool",
    config.AgentSpec: "kind: agent",
    config.ModelSpec: "The model part",
    config_fleet.FleetSpec: "A fleet's file",
}

_INTRO = """\
# Stack config

Written by `make docs` from `moltghost/config*.py`; don't edit it here.

Every stack has one config key, `moltghost:spec`, in its file `Pulumi.<stack>.yaml`.
Its `kind` says which of the three kinds of stack it is, and has to match the stack's name:

| stack | kind | example |
|---|---|---|
| `local` | `cloud` | [in examples](../../examples/Pulumi.local.yaml) |
| `platform.local` | `platform` | [in examples](../../examples/Pulumi.platform.local.yaml) |
| `my-agent.local` | `agent` | [in examples](../../examples/Pulumi.my-agent.local.yaml) |

An unknown key is an error. A spec holds no secret.
"""

_LIMITS = {
    "minimum": "at least {}",
    "exclusiveMinimum": "more than {}",
    "maximum": "at most {}",
    "minLength": "at least {} characters",
    "minProperties": "at least {} of them",
    "pattern": "matches `{}`",
}


def page() -> str:
    """The text of the page."""
    sections = (_section(model, heading) for model, heading in SECTIONS.items())
    return "\n".join([_INTRO, *sections, _named_values()])


def _section(model: type[BaseModel], heading: str) -> str:
    schema = TypeAdapter(model).json_schema(mode="validation")
    words = dict(_field_docstrings(model))
    required = set(schema.get("required", ()))
    lines = [f"## {heading}", "", inspect.cleandoc(model.__doc__ or ""), ""]
    if base := next((each for each in model.__bases__ if each in SECTIONS), None):
        lines += [f"All fields of {_link(base.__name__)}, and:", ""]
    lines += ["| field | type | default | meaning |", "|---|---|---|---|"]
    for name in model.__annotations__:
        field = schema["properties"][name]
        default = "required" if name in required else f"`{json.dumps(field.get('default'))}`"
        cells = (f"`{name}`", _type(field), default, words.get(name, ""))
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join([*lines, ""])


def _type(field: Mapping[str, Any]) -> str:
    """A field's type and limits in words, from its JSON schema."""
    if "anyOf" in field:
        options = [_type(each) for each in field["anyOf"] if each.get("type") != "null"]
        return " or ".join(dict.fromkeys(options))
    if "const" in field:
        return f"`{field['const']}`"
    if "enum" in field:
        return " or ".join(f"`{value}`" for value in field["enum"])
    if "$ref" in field:
        return _link(field["$ref"].rpartition("/")[2])
    name = str(field.get("type", "any"))
    if name == "array":
        name = f"list of {_type(field['items'])}"
    if isinstance(field.get("additionalProperties"), Mapping):
        keys = field.get("propertyNames", {"type": "string"})
        name = f"mapping from {_type(keys)} to {_type(_values(field))}"
    limits = [words.format(field[key]) for key, words in _LIMITS.items() if key in field]
    return ", ".join([name, *limits])


def _values(field: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Mapping[str, Any] = field["additionalProperties"]
    return found


def _link(model: str) -> str:
    heading = next(heading for each, heading in SECTIONS.items() if each.__name__ == model)
    anchor = heading.lower().replace(":", "").replace(" ", "-")
    return f"[{heading[0].lower()}{heading[1:]}](#{anchor})"


def _field_docstrings(model: type[BaseModel]) -> Iterator[tuple[str, str]]:
    """Name and sentence of every field that has one."""
    [tree] = ast.parse(dedent(inspect.getsource(model))).body
    assert isinstance(tree, ast.ClassDef)  # noqa: S101 the source of a class
    yield from _documented(tree.body)


def _documented(body: list[ast.stmt]) -> Iterator[tuple[str, str]]:
    for statement, text in pairwise(body):
        if not (isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name)):
            continue
        if isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant):
            yield statement.target.id, _code(str(text.value.value))


def _code(text: str) -> str:
    """Docstrings mark code with two backticks, Markdown with one."""
    return " ".join(text.replace("``", "`").split())


def _named_values() -> str:
    tokens, memory = (_code(dict(_module_docstrings())[name]) for name in ("Tokens", "NominalGb"))
    pools = ", ".join(f"`{name}`" for name in get_args(config.PoolName))
    return (
        "## Values\n\n"
        f"- `context`: {tokens[0].lower()}{tokens[1:]} `k` is 1024, `m` is 1048576.\n"
        f"- `memory`: {memory}\n"
        f"- Pools: {pools}. A GPU pool is called after its GPU kind.\n"
        "- Quantities may be written as text (`32k`, `160gb`) or as a number.\n"
    )


def _module_docstrings() -> Iterator[tuple[str, str]]:
    body = ast.parse(inspect.getsource(config)).body
    for statement, text in pairwise(body):
        if isinstance(statement, ast.Assign) and isinstance(text, ast.Expr):
            [target] = statement.targets
            if isinstance(target, ast.Name) and isinstance(text.value, ast.Constant):
                yield target.id, str(text.value.value)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
