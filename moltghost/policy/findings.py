"""What a pack found in the resources of one stack."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

MANDATORY, ADVISORY = "mandatory", "advisory"


@dataclass(frozen=True, kw_only=True)
class Violation:
    """A rule that a resource breaks.

    Args:
        policy: the rule's id.
        enforcement: ``mandatory`` or ``advisory``.
        severity: ``critical``, ``high``, ``medium``, ``low``; empty if the pack gives none.
        stack: the stack that the resource is in.
        resource: how people call the resource.
        urn: Pulumi's name of it.
        message: what is wrong; never the value of a secret.
        remediation: what to do about it.
    """

    policy: str
    enforcement: str
    severity: str
    stack: str
    resource: str
    urn: str
    message: str
    remediation: str

    def __str__(self) -> str:
        return f"{self.resource}: {self.message} ({self.policy})"


@dataclass(frozen=True, kw_only=True)
class Undecided:
    """A rule that can't tell yet, because a value is known only after the change is made."""

    policy: str
    enforcement: str
    stack: str
    resource: str
    """The resource; empty for a rule about the whole stack."""
    reason: str

    def __str__(self) -> str:
        return f"{self.resource or self.stack}: {self.policy} is undecided: {self.reason}"


@dataclass(frozen=True, kw_only=True)
class Expiring:
    """An exemption in use whose last day is near.

    Args:
        policy: the rule.
        stack: a stack that needs the exemption.
        exempt: what the exemption is of: an object and its problem.
        expires: its last day.
        days: how many are left, that one not counted.
        reason: why it was given.
    """

    policy: str
    stack: str
    exempt: str
    expires: str
    days: int
    reason: str

    def __str__(self) -> str:
        return (
            f"the exemption of {self.exempt} from {self.policy} ends after {self.expires}, "
            f"{self.days} days from now; then it is a violation: do without it, or renew it"
        )


@dataclass(frozen=True, kw_only=True)
class Findings:
    """Everything that one run found.

    Args:
        violations: of rules that apply.
        undecided: rules that could not tell.
        exempted: violations that an exemption in the config covers.
        expiring: those of these exemptions that end soon.
        resources: how many resources were looked at.
    """

    violations: tuple[Violation, ...] = ()
    undecided: tuple[Undecided, ...] = ()
    exempted: tuple[Violation, ...] = ()
    expiring: tuple[Expiring, ...] = ()
    resources: int = 0

    @property
    def mandatory(self) -> tuple[Violation, ...]:
        """Violations that stop an ``up``."""
        return tuple(each for each in self.violations if each.enforcement == MANDATORY)

    @property
    def advisory(self) -> tuple[Violation, ...]:
        """Violations that are only said."""
        return tuple(each for each in self.violations if each.enforcement == ADVISORY)

    def to_json(self) -> dict[str, Any]:
        """The report for machines."""
        return asdict(self)


def together(found: Sequence[Findings]) -> Findings:
    """The findings of several stacks as one."""
    return Findings(
        violations=tuple(each for one in found for each in one.violations),
        undecided=tuple(each for one in found for each in one.undecided),
        exempted=tuple(each for one in found for each in one.exempted),
        expiring=tuple(each for one in found for each in one.expiring),
        resources=sum(one.resources for one in found),
    )
