"""Only environments, plans and the program ask which provider an environment has."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.examples import PROJECT

MAY_ASK = ("moltghost/environments/", "moltghost/planning/")
# Asks whether there is a registry; the registry's own rewrite makes that the environment's answer.
STILL_ASKS = {"moltghost/lifecycle/images.py"}
PROVIDERS = {"aws", "embedded", "existing"}
CLASSES = {
    "AwsCloudPlan",
    "AwsCloudSpec",
    "AwsEnvironment",
    "EmbeddedCloudSpec",
    "EmbeddedEnvironment",
    "OwnClusterEnvironment",
}


def questions(source: str) -> list[str]:
    """The expressions of a module that ask which provider an environment has."""
    found = [ast.unparse(node) for node in ast.walk(ast.parse(source)) if _asks(node)]
    return sorted(set(found))


def _asks(node: ast.AST) -> bool:
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        names = {each.id for each in ast.walk(node) if isinstance(each, ast.Name)}
        is_class = node.func.id in ("isinstance", "issubclass") and bool(names & CLASSES)
        return is_class or node.func.id == "is_embedded"
    if isinstance(node, ast.Compare):
        # Pulumi's resources have providers too, which are no names of ours.
        named = {each.value for each in ast.walk(node) if isinstance(each, ast.Constant)}
        sides = (node.left, *node.comparators)
        return bool(named & PROVIDERS) and any(_is_provider(each) for each in sides)
    return isinstance(node, ast.Match) and _is_provider(node.subject)


def _is_provider(node: ast.expr) -> bool:
    name = node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")
    return name == "provider"


def asking() -> Iterator[tuple[str, str]]:
    """Every module of the library outside the rooms that may ask, with what it asks."""
    files = sorted((PROJECT / "moltghost").rglob("*.py"))
    assert len(files) > 200
    for file in files:
        name = str(file.relative_to(PROJECT))
        if not name.startswith(MAY_ASK):
            for question in questions(file.read_text(encoding="utf-8")):
                yield name, question


def test_nothing_above_environments_asks_which_provider_it_is() -> None:
    assert [each for each in asking() if each[0] not in STILL_ASKS] == []


def test_an_exception_that_is_no_longer_needed_goes() -> None:
    assert {name for name, _ in asking()} == STILL_ASKS


@pytest.mark.parametrize(
    "line",
    [
        "isinstance(environment.cloud, AwsCloudSpec)",
        "isinstance(cloud, (AwsCloudPlan, str))",
        "isinstance(environment, EmbeddedEnvironment)",
        "environment.cloud.provider == 'aws'",
        "'embedded' != spec.provider",
        "plan.provider in ('aws', 'existing')",
        "is_embedded(environment)",
    ],
)
def test_a_question_is_found_wherever_it_stands(line: str) -> None:
    assert questions(f"def up(environment):\n    if not {line}:\n        return 1\n")


def test_a_question_by_match_is_found() -> None:
    assert questions("match spec.provider:\n    case 'aws':\n        pass\n")


def test_what_names_a_provider_without_asking_is_no_question() -> None:
    assert (
        questions("pulumi.export('provider', plan.provider)\nisinstance(plan, CloudPlan)\n") == []
    )


def test_the_factory_asks_so_that_the_test_sees_what_it_looks_for() -> None:
    factory: Path = PROJECT / "moltghost" / "environments" / "factory.py"
    assert questions(factory.read_text(encoding="utf-8")) == [
        "isinstance(config.cloud, AwsCloudSpec)"
    ]
