"""Writers and readers of the wire contract agree by one module, not by spelling."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from moltghost import labels
from tests.examples import PROJECT

HOME = Path("moltghost") / "labels.py"
# Words of Kubernetes that more than one room needs.
SHARED = (labels.PREFIX, labels.MANAGED_BY_LABEL, labels.NAME_LABEL, labels.INSTANCE_TYPE_LABEL)


def spelled_in(folder: Path) -> Iterator[str]:
    """Every string of our code that spells a key of the contract, with its place."""
    for room in ("moltghost", "components", "infra"):
        files = sorted((folder / room).rglob("*.py"))
        assert files, f"{room} has no module"
        for file in files:
            place = file.relative_to(folder)
            if place == HOME:
                continue
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Constant) and isinstance(node.value, str):
                    for word in SHARED:
                        if word in node.value:
                            yield f"{place}:{node.lineno}: {word}"


def test_no_other_module_spells_a_label() -> None:
    assert list(spelled_in(PROJECT)) == []


def test_a_module_that_spells_a_label_is_found(tmp_path: Path) -> None:
    for room in ("moltghost", "components", "infra"):
        (tmp_path / room).mkdir()
        (tmp_path / room / "plain.py").write_text('KEY = "a/b"\n', encoding="utf-8")
    (tmp_path / HOME).write_text('AGENT_LABEL = "moltghost.dev/agent"\n', encoding="utf-8")
    wrong = 'what = "x"\nexpression = f"object.labels[moltghost.dev/{what}]"\n'
    (tmp_path / "components" / "wall.py").write_text(wrong, encoding="utf-8")
    assert list(spelled_in(tmp_path)) == ["components/wall.py:2: moltghost.dev"]


def test_the_names_that_scripts_and_clusters_rely_on_stay() -> None:
    assert labels.agent_namespace("my-agent") == "agent-my-agent"
    assert labels.agent_labels("prod", "my-agent", "team-a") == {
        "app.kubernetes.io/managed-by": "moltghost",
        "moltghost.dev/environment": "prod",
        "moltghost.dev/agent": "my-agent",
        "moltghost.dev/owner": "team-a",
    }
    assert labels.selector(labels.MODEL_SERVER, "my-agent") == {
        "app.kubernetes.io/name": "model-server",
        "moltghost.dev/agent": "my-agent",
    }
