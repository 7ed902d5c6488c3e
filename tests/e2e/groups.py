"""Which files of the end-to-end tests share a cluster, and their order."""

from __future__ import annotations

from pathlib import Path

#: Files by what they share, the longest group first: workers take groups in this order, and a long
#: one at the end would leave the others idle. A file that isn't named here comes last, by itself.
GROUPS = (
    ("test_real_agent",),
    ("test_engine", "test_drift", "test_conformance", "test_policies"),
    ("test_main_job",),
    ("test_fleet",),
    ("test_node",),
    ("test_cluster",),
    ("test_crashes",),
    ("test_images",),
    ("test_agent_tools",),
    # The last one declares a node of this machine that isn't there.
    ("test_admission", "test_refusals", "test_weights_job"),
    ("test_aws_objects",),
)
_ORDER = [file for group in GROUPS for file in group]


def group_of(file: Path) -> str:
    """The group of a test's file, by the name of its first one."""
    return next((group[0] for group in GROUPS if file.stem in group), file.stem)


def place_of(file: Path) -> int:
    """The place of a test's file among all."""
    return _ORDER.index(file.stem) if file.stem in _ORDER else len(_ORDER)
