"""The pack, and everything that the cases declare."""

from __future__ import annotations

import pytest

from moltghost.engines.interface import AnalyzedResource
from tests.policies.cases import CASES
from tests.policies.declare import declare_all
from tests.policies.fixtures import pack

__all__ = ["declared_cases", "pack"]


@pytest.fixture(scope="session")
def declared_cases(
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, list[AnalyzedResource]]:
    """Resources by ``rule good`` and ``rule 0``, ``rule 1``, ... for the broken ones."""
    programs = {f"{rule} good": case.good for rule, case in CASES.items()}
    for rule, case in CASES.items():
        for number, broken in enumerate(case.broken):
            programs[f"{rule} {number}"] = broken.program
    return declare_all(programs, tmp_path_factory.mktemp("project"))
