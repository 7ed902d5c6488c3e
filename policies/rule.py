"""What a rule is, and how it becomes a policy of the SDK.

A check is a generator: it yields one sentence per problem. What surrounds the sentence, that is the
resource's name and the way out, comes from here, so no message can lack them. A check touches the
values of a resource through the SDK's proxies, which raise ``UnknownValueError`` for a value that a
preview doesn't know; the SDK then says that the rule is undecided. No check may put a value that
could be a secret into its sentence.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Required, TypedDict, Unpack

from pulumi_policy import (
    EnforcementLevel,
    Policy,
    PolicyComplianceFramework,
    PolicyConfigSchema,
    ReportViolation,
    ResourceValidationArgs,
    ResourceValidationPolicy,
    Severity,
    StackValidationArgs,
    StackValidationPolicy,
)
from pulumi_policy.proxy import UnknownValueError

from .exemptions import SCHEMA as EXEMPTIONS_SCHEMA
from .exemptions import exemptions_of, today
from .subject import Subject, canonical, subjects_of

ADVISORY, MANDATORY = EnforcementLevel.ADVISORY, EnforcementLevel.MANDATORY
LOW, MEDIUM, HIGH, CRITICAL = Severity.LOW, Severity.MEDIUM, Severity.HIGH, Severity.CRITICAL

# Who publishes a source, by the beginning of its identifier.
_CATALOGUES = {
    "CKV": "checkov",
    "AWS-": "trivy-checks",
    "KSV-": "trivy-checks",
    "C-": "kubescape",
    "prowler": "prowler",
    "kyverno": "kyverno policies",
    "EKS BPG": "Amazon EKS Best Practices Guide",
    "BP": "Pulumi Best Practices pack",
    "CP": "pulumi compliance-policies",
}


def texts(default: Sequence[str], description: str) -> dict[str, Any]:
    """A setting that is a list of texts."""
    return {
        "type": "array",
        "items": {"type": "string"},
        "default": list(default),
        "description": description,
    }


Config = Mapping[str, Any]
Check = Callable[[Subject, Config], Iterator[str]]
StackCheck = Callable[[Sequence[Subject], Config], Iterator[tuple[Subject, str]]]


class About(TypedDict, total=False):
    """What a decorator says of a rule: those fields of `Rule` that its check doesn't have."""

    why: Required[str]
    fix: Required[str]
    severity: Required[Severity]
    level: EnforcementLevel
    types: Required[tuple[str, ...]]
    sources: tuple[str, ...]
    schema: Mapping[str, Mapping[str, Any]]


def rule(**about: Unpack[About]) -> Callable[[Check], Rule]:
    """Make a rule of the check of one resource.

    The check's name is the rule's id, its docstring what must hold, its module the area.
    """

    def made(check: Check) -> Rule:
        return Rule(id=_id(check), area=_area(check), says=_says(check), check=check, **about)

    return made


def stack_rule(**about: Unpack[About]) -> Callable[[StackCheck], Rule]:
    """Make a rule of a check that relates the resources of a stack; named as by `rule`."""

    def made(check: StackCheck) -> Rule:
        return Rule(id=_id(check), area=_area(check), says=_says(check), stack_check=check, **about)

    return made


def _id(check: Callable[..., object]) -> str:
    return check.__name__.replace("_", "-")


def _area(check: Callable[..., object]) -> str:
    return check.__module__.rpartition(".")[2]


def _says(check: Callable[..., object]) -> str:
    return check.__doc__ or ""


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One rule.

    Args:
        id: stable name, used in config and reports.
        area: the module it is in.
        says: what must hold, as one sentence.
        why: what goes wrong otherwise.
        fix: what to do about a violation.
        severity: how bad a violation is.
        level: whether a violation stops an ``up``; it does, if nothing else is said.
        types: type tokens that it reports on; a * at the end stands for any rest.
        sources: identifiers of published checks or guides that ask for the same.
        schema: JSON schema of its settings, each with a default.
        check: yields the problems of one resource.
        stack_check: yields the problems of the resources of a stack together.
    """

    id: str
    area: str
    says: str
    why: str
    fix: str
    severity: Severity
    types: tuple[str, ...]
    level: EnforcementLevel = MANDATORY
    sources: tuple[str, ...] = ()
    schema: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    check: Check | None = None
    stack_check: StackCheck | None = None

    def settings(self, given: Config | None) -> dict[str, Any]:
        """The rule's settings: what is configured over the defaults."""
        defaults = {name: item["default"] for name, item in self.schema.items()}
        return {**defaults, **(given or {})}

    def concerns(self, type_: str) -> bool:
        """Whether the rule reports on resources of a type, whatever the type calls them."""
        plain = canonical(type_)
        return plain in self.types or any(
            each.endswith("*") and plain.startswith(each[:-1]) for each in self.types
        )

    def may_concern(self, type_: str) -> bool:
        """Whether it may report on a resource of a type: a list may hold anything."""
        return self.concerns(type_) or type_.endswith("List")

    def problems(self, subject: Subject, given: Config | None) -> Iterator[str]:
        """The messages for one resource."""
        if self.check is None or not self.concerns(subject.type):
            return
        yield from self._judged(subject, self.check(subject, self.settings(given)), given)

    def stack_problems(
        self, subjects: Sequence[Subject], given: Config | None
    ) -> Iterator[tuple[Subject, str]]:
        """The messages for a stack, each with the resource that it is about."""
        if self.stack_check is None or not any(self.concerns(each.type) for each in subjects):
            return
        found: dict[tuple[str, str], list[str]] = {_place(each): [] for each in subjects}
        undecided: UnknownValueError | None = None
        try:
            for subject, problem in self.stack_check(subjects, self.settings(given)):
                found[_place(subject)].append(problem)
        except UnknownValueError as error:
            undecided = error
        for subject in subjects:
            if self.concerns(subject.type):
                for message in self._judged(subject, found[_place(subject)], given):
                    yield subject, message
        if undecided:
            raise undecided

    def _judged(
        self, subject: Subject, problems: Iterable[str], given: Config | None
    ) -> Iterator[str]:
        """The problems as messages, less what is exempt; an expired exemption is one itself."""
        exemptions = [each for each in exemptions_of(given) if each.covers(subject)]
        for each in exemptions:
            if each.fault:
                yield f"{subject.title}: {each.fault}. Fix: correct the exemption"
            elif each.expired(today()):
                yield (
                    f"{subject.title}: its exemption from {self.id} ({each.problem}) expired on "
                    f"{each.expires} ({each.reason}). Fix: {self.fix}; or renew it"
                )
        accepted = {each.problem for each in exemptions if each.holds(today())}
        for problem in dict.fromkeys(problems):
            if problem not in accepted:
                yield f"{subject.title}: {problem}. Fix: {self.fix}"

    def to_policy(self) -> Policy:
        """The rule for the SDK."""
        metadata: dict[str, Any] = {
            "name": self.id,
            "description": self.says,
            "enforcement_level": self.level,
            "severity": self.severity,
            "config_schema": PolicyConfigSchema(
                properties={
                    **{name: dict(item) for name, item in self.schema.items()},
                    "exemptions": EXEMPTIONS_SCHEMA,
                }
            ),
            "framework": self.framework,
            "tags": [self.area, *self.sources],
            "remediation_steps": self.fix,
        }
        if self.stack_check:
            return StackValidationPolicy(validate=self._validate_stack, **metadata)
        return ResourceValidationPolicy(validate=self._validate, **metadata)

    @property
    def framework(self) -> PolicyComplianceFramework | None:
        """The catalogue of the first source; None for a rule of our own."""
        for start, name in _CATALOGUES.items():
            if self.sources and self.sources[0].startswith(start):
                return PolicyComplianceFramework(name=name, reference=", ".join(self.sources))
        return None

    def _validate(self, args: ResourceValidationArgs, report: ReportViolation) -> None:
        resource = Subject(
            type=args.resource_type,
            name=args.name,
            urn=args.urn,
            props=args.props,
            protect=args.opts.protect,
            provider=args.provider.props if args.provider else {},
        )
        if self.may_concern(resource.type):
            for subject in subjects_of(resource):
                for message in self.problems(subject, args.get_config()):
                    report(message, None)

    def _validate_stack(self, args: StackValidationArgs, report: ReportViolation) -> None:
        resources = (
            Subject(
                type=each.resource_type,
                name=each.name,
                urn=each.urn,
                props=each.props,
                protect=each.opts.protect,
                provider=each.provider.props if each.provider else {},
                needs=tuple(other.urn for other in each.dependencies),
                parent=each.parent.urn if each.parent else "",
            )
            for each in args.resources
        )
        subjects = [subject for each in resources for subject in subjects_of(each)]
        for subject, message in self.stack_problems(subjects, args.get_config()):
            report(message, subject.urn)


def _place(subject: Subject) -> tuple[str, str]:
    """What tells the subjects of a stack apart."""
    return subject.urn, subject.place
