"""All that is imported is declared, so that it is there by our own word and not by another's."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from tests.examples import PROJECT

OURS = {"moltghost", "components", "infra", "policies", "tests", "tools", "benchmarks"}
LIBRARY = ("moltghost", "components", "infra", "policies")
DEVELOPMENT = ("tests", "tools", "benchmarks")


def normal(name: str) -> str:
    """A distribution's name, by https://peps.python.org/pep-0503/#normalized-names."""
    return re.sub(r"[-_.]+", "-", name).lower()


@cache
def declared(*, development: bool) -> frozenset[str]:
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = list(project["dependencies"])
    if development:
        wanted += project["optional-dependencies"]["dev"]
    names: set[str] = set()
    for each in wanted:
        match = re.match(r"([\w.-]+)(?:\[([\w,-]+)\])?", each)
        assert match, each
        names.add(normal(match[1]))
        if match[1] == "boto3-stubs":  # each of its extras is a distribution
            names |= {f"mypy-boto3-{extra}" for extra in match[2].split(",")}
    return frozenset(names)


@cache
def distributions() -> Mapping[str, list[str]]:
    return packages_distributions()


def _is_for_types(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"


def imported(node: ast.AST, *, for_types: bool = False) -> Iterator[tuple[str, bool]]:
    """The modules that a file imports, and whether only a type checker does."""
    if isinstance(node, ast.Import):
        yield from ((alias.name, for_types) for alias in node.names)
    elif isinstance(node, ast.ImportFrom) and not node.level:
        yield node.module or "", for_types
    for child in ast.iter_child_nodes(node):
        yield from imported(child, for_types=for_types or _is_for_types(node))


def undeclared(folder: Path, *, development: bool) -> set[str]:
    """What the files of a folder import without a declaration, as ``module (file)``."""
    found = set()
    files = [folder] if folder.is_file() else sorted(folder.rglob("*.py"))
    assert files
    for file in files:
        for module, for_types in imported(ast.parse(file.read_text(encoding="utf-8"))):
            package = module.partition(".")[0]
            if package in OURS or package in sys.stdlib_module_names:
                continue
            known = {normal(name) for name in distributions().get(package, ())}
            if not known & declared(development=development or for_types):
                found.add(f"{package} ({file.relative_to(folder.parent)})")
    return found


@pytest.mark.parametrize("folder", [*LIBRARY, "__main__.py"])
def test_what_the_library_imports_is_a_dependency(folder: str) -> None:
    assert undeclared(PROJECT / folder, development=False) == set()


@pytest.mark.parametrize("folder", DEVELOPMENT)
def test_what_tests_and_tools_import_is_a_dependency_of_development(folder: str) -> None:
    assert undeclared(PROJECT / folder, development=True) == set()


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("import json\nimport yaml.nodes\n", set()),
        ("def late():\n    import jmespath\n", {"jmespath (a.py)"}),  # botocore brings it
        ("import nowhere_at_all\n", {"nowhere_at_all (a.py)"}),
        ("import pytest\n", {"pytest (a.py)"}),
        ("if TYPE_CHECKING:\n    import pytest\n", set()),
    ],
)
def test_an_import_that_only_another_package_declares_is_found(
    text: str, found: set[str], tmp_path: Path
) -> None:
    (tmp_path / "a.py").write_text(text)
    names = {
        each.replace(f"{tmp_path.name}/", "") for each in undeclared(tmp_path, development=False)
    }
    assert names == found
