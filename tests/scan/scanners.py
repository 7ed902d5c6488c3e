"""kube-score and checkov, pinned and kept in the cache, and what they say of objects.

checkov pins versions of its own that contradict ours, so it lives in an environment of its own
(`requirements-scan.txt`). kube-score is a Go module, built with the toolchain of the cluster.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from moltghost import paths
from moltghost.local.build import go as golang
from moltghost.progress import silent
from tests.examples import PROJECT

KUBE_SCORE = "v1.20.0"
_KUBE_SCORE_PACKAGE = "github.com/zegl/kube-score/cmd/kube-score"
_REQUIREMENTS = PROJECT / "requirements-scan.txt"
_CRITICAL = 1
_KUBERNETES = "v1.36"


@dataclass(frozen=True, order=True)
class Finding:
    """One thing that a scanner has against one object."""

    tool: str
    check: str
    target: str
    """``Kind/namespace/name``."""


def _home() -> Path:
    return paths.cache_home() / "scanners"


def kube_score() -> Path:
    """The program, built if it isn't there."""
    program = _home() / f"kube-score-{KUBE_SCORE}" / "kube-score"
    if not program.is_file():
        program.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory() as folder:
            go = golang.install(Path(folder), silent)
            subprocess.run(
                go.command("install", f"{_KUBE_SCORE_PACKAGE}@{KUBE_SCORE}"),
                cwd=folder,
                env=go.environment()
                | {"GOFLAGS": "-modcacherw -trimpath", "GOBIN": str(program.parent)},
                check=True,
                timeout=1200,
            )
    return program


def checkov() -> Path:
    """The program, installed with the pinned versions if it isn't there."""
    version = next(
        line.split()[0]
        for line in _REQUIREMENTS.read_text(encoding="utf-8").splitlines()
        if line.startswith("checkov==")
    )
    place = _home() / version.replace("==", "-")
    if not (place / "complete").is_file():
        shutil.rmtree(place, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", place], check=True, timeout=300)
        install = [place / "bin" / "pip", "install", "--quiet", "--require-hashes"]
        subprocess.run([*install, "--requirement", _REQUIREMENTS], check=True, timeout=1200)
        (place / "complete").touch()
    return place / "bin" / "checkov"


def by_kube_score(file: Path) -> Iterator[Finding]:
    """Its CRITICAL findings."""
    done = subprocess.run(
        [kube_score(), "score", "-o", "json", "--kubernetes-version", _KUBERNETES, str(file)],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    # It ends with 1 where it found something; a failure prints no JSON.
    for scored in json.loads(done.stdout):
        kind, *_, namespace, name = scored["object_name"].split("/")
        for each in scored["checks"] or ():
            if each["skipped"] or each["grade"] != _CRITICAL:
                continue
            for comment in each["comments"]:
                check = f"{each['check']['id']}: {comment['summary']}"
                yield Finding("kube-score", check, f"{kind}/{namespace}/{name}")


def by_checkov(file: Path) -> Iterator[Finding]:
    """Its failed checks."""
    command = [checkov(), "--file", str(file), "--framework", "kubernetes", "--output", "json"]
    done = subprocess.run(
        [*command, "--quiet", "--compact", "--skip-download"],
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
        env={**os.environ, "BC_SKIP_MAPPING": "TRUE"},
    )
    report: dict[str, Any] = json.loads(done.stdout)
    for each in report["results"]["failed_checks"]:
        kind, namespace, *rest = each["resource"].split(".")
        yield Finding("checkov", each["check_id"], f"{kind}/{namespace}/{'.'.join(rest)}")
