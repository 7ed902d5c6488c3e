"""Karpenter's own definitions for AWS, from its Go module: fetched, held to a checksum, kept.

They belong to the version of the chart that an environment on AWS gets. Nothing of the module is
in this repository, and nothing of it runs: these are the schemas that its API server would have.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import yaml

from moltghost import paths
from moltghost.local.build import go as golang
from moltghost.planning.aws.facts import karpenter_chart
from moltghost.progress import silent

MODULE = "github.com/aws/karpenter-provider-aws"
# The checksum of the module's files, as the public checksum database has it.
SUMS = {"1.15.0": "h1:3qnrxRxKHPg9Hd71D7xH4xKxPfmcrB30EFBrMz74mOs="}
_FILES = (
    "karpenter.k8s.aws_ec2nodeclasses.yaml",
    "karpenter.sh_nodeclaims.yaml",
    "karpenter.sh_nodepools.yaml",
)


def definitions() -> list[dict[str, Any]]:
    """The CustomResourceDefinitions of the pinned version."""
    version = karpenter_chart().version
    kept = paths.cache_home() / "definitions" / f"karpenter-provider-aws-{version}"
    if not kept.is_dir():
        _fetch(version, kept)
    return [yaml.safe_load((kept / name).read_text(encoding="utf-8")) for name in _FILES]


def _fetch(version: str, kept: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        go = golang.install(Path(folder), silent)
        done = subprocess.run(
            go.command("mod", "download", "-json", f"{MODULE}@v{version}"),
            cwd=folder,
            env=go.environment() | {"GOFLAGS": "-modcacherw"},
            capture_output=True,
            text=True,
            timeout=300,
            check=True,
        )
        found = json.loads(done.stdout)
        assert found["Sum"] == SUMS[version], f"{MODULE} {version} is not the one that was read"
        kept.parent.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(dir=kept.parent))
        for name in _FILES:
            shutil.copy(Path(found["Dir"]) / "pkg/apis/crds" / name, draft)
        draft.rename(kept)
