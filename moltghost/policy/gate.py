"""The gate before a change: a mandatory violation stops it, everything else is said."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from moltghost.errors import Refused
from moltghost.policy.config import config_file, read_config
from moltghost.policy.findings import Findings
from moltghost.policy.pack import FOLDER, Pack, has_pack
from moltghost.policy.wire import Resource


def check_stack(
    project: Path, stack: str, resources: Sequence[Resource], *, alone: bool = False
) -> Findings:
    """Check resources against the project's pack, with the config of their environment.

    Args:
        project: the project's folder.
        stack: the stack's name; its environment's config counts.
        resources: all resources of the stack.
        alone: they are but some of the stack's, so rules about the whole stack aren't asked.

    Raises:
        Refused: the pack or its config is invalid.
    """
    folder = project / FOLDER
    pack = Pack(folder)
    environment = stack.rpartition(".")[2]
    config = read_config(config_file(folder, environment), pack.policies)
    return pack.check(stack, resources, config, alone=alone)


def require_compliance(
    project: Path, stack: str, resources: Sequence[Resource], *, alone: bool = False
) -> list[str]:
    """Let a change pass, or not.

    Args:
        project: the project's folder.
        stack: the stack's name.
        resources: all resources of the stack.
        alone: they are but some of the stack's.

    Returns:
        What should be said: advisory violations, rules that couldn't decide, and exemptions that
        end soon. Nothing if the project has no pack.

    Raises:
        Refused: a mandatory rule is broken.
    """
    if not has_pack(project):
        return []
    return judged(stack, check_stack(project, stack, resources, alone=alone))


def judged(stack: str, findings: Findings) -> list[str]:
    """What follows from what a pack found, whichever engine asked it.

    Returns:
        What should be said: how many advisory violations there are and how many rules couldn't
        decide, with the command that lists them; and each exemption that ends soon.

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
    advisory, undecided = len(findings.advisory), len(findings.undecided)
    counts = [
        f"{count} {what}{'' if count == 1 else 's'}"
        for count, what in ((advisory, "advisory finding"), (undecided, "undecided rule"))
        if count
    ]
    said = [f"policy: {', '.join(counts)}; moltghost policy check {stack} lists them"]
    return [*(said if counts else ()), *map(str, findings.expiring)]
