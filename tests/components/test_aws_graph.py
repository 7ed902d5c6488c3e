"""The AWS resource graph as text in `tests/golden/`: a change of infrastructure shows in a diff.

`MOLTGHOST_WRITE_GOLDEN=1 pytest tests/components/test_aws_graph.py` writes the files anew.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.components.aws_stacks import declared

GOLDEN = Path(__file__).parents[1] / "golden"
_WIDTH = 120
_POLICIES = ("policy", "assumeRolePolicy", "configurationValues", "eventPattern")


def graph(case: str) -> str:
    """Each resource with its options and inputs, by type and name."""
    resources = [
        each for each in declared(case) if not each.token.startswith(("pulumi:", "moltghost:"))
    ]
    return (
        "\n".join(
            line
            for each in sorted(resources, key=lambda each: (each.token, each.name))
            for line in (
                f"{each.token} {each.name}{' (protected)' if each.protect else ''}",
                *(f"    {text}" for text in _lines(each.inputs)),
            )
        )
        + "\n"
    )


def _lines(inputs: dict[str, Any]) -> Iterator[str]:
    for key in sorted(inputs):
        value = inputs[key]
        if key in _POLICIES and isinstance(value, str):
            yield f"{key}:"
            for line in json.dumps(json.loads(value), indent=2, sort_keys=True).splitlines():
                yield f"  {line}"
        elif key != "tags":
            text = f"{key}: {json.dumps(value, sort_keys=True)}"
            long = f"{key}: {json.dumps(value, sort_keys=True, indent=2)}"
            yield from [text] if len(text) <= _WIDTH else long.splitlines()


@pytest.mark.parametrize("case", ["dev", "prod", "platform.dev", "platform.prod"])
def test_the_resource_graph_is_the_one_that_was_reviewed(case: str) -> None:
    file = GOLDEN / f"aws-{case}.txt"
    if os.environ.get("MOLTGHOST_WRITE_GOLDEN"):
        file.parent.mkdir(exist_ok=True)
        file.write_text(graph(case))
    assert file.read_text() == graph(case)
