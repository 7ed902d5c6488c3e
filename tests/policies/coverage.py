"""What checkov and kube-score find on our objects and their mutants, beside this pack.

    python -m tests.policies.coverage CHECKOV KUBE_SCORE

writes the table of docs/policies/coverage.md anew, and ends with 1 if one of the two finds
something on the unchanged objects that the document doesn't explain. The two programs are tools of
this comparison only: checkov is on PyPI, kube-score a Go module (github.com/zegl/kube-score).
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.policies.declare import PROJECT
from tests.policies.mutants import AGENT, MUTANTS, PLATFORM, Mutant
from tests.policies.write_mutants import in_objects, write

PAGE = PROJECT / "docs" / "policies" / "coverage.md"
BEGIN, END = "<!-- begin mutants (python -m tests.policies.coverage) -->", "<!-- end mutants -->"
STACKS = (AGENT, PLATFORM)
_GOOD_GRADE = 10  # of kube-score

Finding = tuple[str, str]
"""A check's id and the object or container that it is about."""


def checkov(program: str, folder: Path) -> dict[str, set[Finding]]:
    """Findings by file, with checkov's default checks for Kubernetes."""
    command = [program, "-d", str(folder), "--framework", "kubernetes"]
    run = subprocess.run([*command, "-o", "json", "--compact"], capture_output=True, text=True)
    failed = json.loads(run.stdout)["results"]["failed_checks"]
    found: dict[str, set[Finding]] = {file.name: set() for file in folder.glob("*.yaml")}
    for each in failed:
        found[Path(each["file_path"]).name].add((each["check_id"], each["resource"]))
    return found


def kube_score(program: str, folder: Path) -> dict[str, set[Finding]]:
    """Findings by file, with kube-score's default checks."""
    return {file.name: set(_scored(program, file)) for file in sorted(folder.glob("*.yaml"))}


def _scored(program: str, file: Path) -> Iterator[Finding]:
    command = [program, "score", str(file), "--output-format", "json"]
    run = subprocess.run(command, capture_output=True, text=True)
    for each in json.loads(run.stdout):
        for check in each["checks"]:
            if not check["skipped"] and check["grade"] < _GOOD_GRADE:
                for comment in check["comments"] or [{"path": "", "summary": ""}]:
                    about = (each["object_name"], comment["path"], comment["summary"])
                    yield check["check"]["id"], " ".join(about)


def counted() -> dict[str, list[Mutant]]:
    """The mutants that are in objects, by rule, in the order of their first one."""
    rules: dict[str, list[Mutant]] = {}
    for mutant in MUTANTS:
        if mutant.base in STACKS and in_objects(mutant):
            rules.setdefault(mutant.rule, []).append(mutant)
    return rules


def table(caught: Callable[[Mutant, int], bool]) -> str:
    """One row per rule; ``caught`` tells whether a tool (0: checkov, 1: kube-score) found it."""
    lines = ["| rule | mutants | checkov | kube-score |", "|---|---|---|---|"]
    sums = [0, 0, 0, 0]
    for rule, mutants in counted().items():
        tools = [[caught(mutant, tool) for mutant in mutants] for tool in (0, 1)]
        lines.append(f"| {rule} | {len(mutants)} | {sum(tools[0])} | {sum(tools[1])} |")
        either = sum(map(any, zip(*tools, strict=True)))
        row = (len(mutants), sum(tools[0]), sum(tools[1]), either)
        sums = [total + more for total, more in zip(sums, row, strict=True)]
    lines.append(f"| **all** | **{sums[0]}** | **{sums[1]}** | **{sums[2]}** |")
    return "\n".join([*lines, "", f"Together they find {sums[3]}; this pack finds all {sums[0]}."])


def main(programs: list[str]) -> int:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write(folder)
        found = (checkov(programs[0], folder), kube_score(programs[1], folder))

    def caught(mutant: Mutant, tool: int) -> bool:
        file = f"{mutant.base}--{MUTANTS.index(mutant):03d}--{mutant.rule}.yaml"
        return bool(found[tool][file] - found[tool][f"{mutant.base}--base.yaml"])

    text = PAGE.read_text(encoding="utf-8")
    head, _, rest = text.partition(BEGIN)
    PAGE.write_text(f"{head}{BEGIN}\n{table(caught)}\n{END}{rest.partition(END)[2]}")
    checks = {check for tool in found for s in STACKS for check, _ in tool[f"{s}--base.yaml"]}
    unexplained = sorted(check for check in checks if check not in head)
    sys.stdout.write(f"on the unchanged objects: {', '.join(sorted(checks))}\n")
    sys.stdout.write(f"not explained: {', '.join(unexplained) or 'none'}\n")
    return 1 if unexplained else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
