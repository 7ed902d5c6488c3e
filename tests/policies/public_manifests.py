"""What the pack says of manifests that others published.

    python -m tests.policies.public_manifests OWNER/NAME=GIT_DIRECTORY... [--write]

reads every YAML file of the newest commit of each repository and compares the number of objects
that each rule finds something in, or can't decide, with ``public_manifests.json``, which names the
commits. Files that are templates of Helm aren't YAML and are counted apart. Nothing of the
repositories is kept. A rule that breaks down ends the run.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from moltghost.engines.interface import AnalyzedResource
from moltghost.policy.config import PackConfig
from moltghost.policy.pack import Pack
from tests.policies.declare import PROJECT
from tests.policy.resources import resource

VERDICTS = Path(__file__).with_name("public_manifests.json")


def git(folder: str, *arguments: str) -> str:
    command = ["git", "--git-dir", folder, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def objects_of(text: str, file: str) -> Iterator[AnalyzedResource]:
    """The Kubernetes objects in a YAML file, as the SDK's custom resources.

    Raises:
        yaml.YAMLError: it is no YAML.
    """
    for number, document in enumerate(yaml.load_all(text, Loader=yaml.CSafeLoader)):
        if isinstance(document, dict) and "kind" in document and "apiVersion" in document:
            inputs = json.loads(json.dumps(document, default=str))
            type_ = f"kubernetes:{document['apiVersion']}:{document['kind']}"
            yield resource(type_, inputs, f"{file}-{number}")


def verdicts_of(pack: Pack, folder: str) -> dict[str, Any]:
    """What the rules say of a repository."""
    files = [
        each
        for each in git(folder, "ls-tree", "-r", "--name-only", "HEAD").splitlines()
        if each.endswith((".yaml", ".yml"))
    ]
    unread = objects = 0
    found: set[tuple[str, str]] = set()
    undecided: Counter[str] = Counter()
    for file in files:
        try:
            resources = list(objects_of(git(folder, "show", f"HEAD:{file}"), file))
        except (yaml.YAMLError, UnicodeDecodeError):
            unread += 1
            continue
        if not resources:
            continue
        objects += len(resources)
        findings = pack.check("test", resources, PackConfig())
        found |= {(each.policy, each.urn) for each in findings.violations}
        undecided.update(each.policy for each in findings.undecided)
    rules = Counter(rule for rule, _ in found)
    return {
        "commit": git(folder, "rev-parse", "HEAD").strip(),
        "files": len(files),
        "no YAML": unread,
        "objects": objects,
        "found": dict(sorted(rules.items())),
        "undecided": dict(sorted(undecided.items())),
    }


def main(arguments: list[str]) -> int:
    pack = Pack(PROJECT / "policies")
    given = [each.partition("=") for each in arguments if "=" in each]
    found = {name: verdicts_of(pack, folder) for name, _, folder in given}
    if "--write" in arguments:
        VERDICTS.write_text(json.dumps(found, indent=1) + "\n")
        return 0
    wanted = json.loads(VERDICTS.read_text())
    different = [name for name in found if found[name] != wanted.get(name)]
    for name in different:
        sys.stdout.write(f"{name}: {json.dumps(found[name])}\n")
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
