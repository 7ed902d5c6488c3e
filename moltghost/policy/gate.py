"""The gate before a change: a mandatory violation stops it, everything else is said."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from moltghost.errors import Refused
from moltghost.policy.config import config_file, read_config
from moltghost.policy.findings import Findings
from moltghost.policy.pack import FOLDER, Pack, has_pack
from moltghost.policy.wire import Resource


def check_stack(project: Path, stack: str, resources: Sequence[Resource]) -> Findings:
    """Check resources against the project's pack, with the config of their environment.

    Raises:
        Refused: the pack or its config is invalid.
    """
    folder = project / FOLDER
    pack = Pack(folder)
    environment = stack.rpartition(".")[2]
    return pack.check(
        stack, resources, read_config(config_file(folder, environment), pack.policies)
    )


def require_compliance(project: Path, stack: str, resources: Sequence[Resource]) -> list[str]:
    """Let a change pass, or not.

    Returns:
        What should be said: advisory violations, and rules that couldn't decide. Nothing if the
        project has no pack.

    Raises:
        Refused: a mandatory rule is broken.
    """
    if not has_pack(project):
        return []
    findings = check_stack(project, stack, resources)
    return judged(stack, findings)


def judged(stack: str, findings: Findings) -> list[str]:
    """What follows from what a pack found, whichever engine asked it.

    Returns:
        What should be said: advisory violations, and rules that couldn't decide.

    Raises:
        Refused: a mandatory rule is broken.
    """
    if findings.mandatory:
        lines = "\n".join(f"  {each}" for each in findings.mandatory)
        fixes = "; ".join(dict.fromkeys(each.remediation for each in findings.mandatory))
        raise Refused(
            f"stack {stack} breaks rules that are mandatory:\n{lines}",
            f"{fixes}. moltghost policy explain {findings.mandatory[0].policy} says why",
        )
    undecided = [str(each) for each in findings.undecided]
    return [*(f"policy: {each}" for each in findings.advisory), *undecided]
