"""The pack of a project, asked in this process through the analyzer protocol.

This is the only module that touches a private name of the policy SDK (its servicer), which is why
the version of ``pulumi-policy`` is pinned. Started by the stock CLI, the very same servicer answers
behind a socket.

Why: docs/decisions/0021.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from google.protobuf import empty_pb2, json_format
from pulumi.runtime.proto import analyzer_pb2
from pulumi_policy import EnforcementLevel
from pulumi_policy.policy import _PolicyAnalyzerServicer

from moltghost.errors import MoltghostError, Refused
from moltghost.policy.config import PackConfig, PolicyInfo
from moltghost.policy.expiry import expiring
from moltghost.policy.findings import Findings, Undecided, Violation
from moltghost.policy.wire import (
    Resource,
    config_request,
    resource_request,
    stack_request,
    title_of,
)

FOLDER = "policies"
_UNDECIDED = "can't run policy"
_FIX = ". Fix: "
_PROVIDER = "pulumi:providers:"


def has_pack(project: Path) -> bool:
    """Whether a project has a policy pack."""
    return (project / FOLDER / "PulumiPolicy.yaml").is_file()


class Pack:
    """A pack in a folder.

    Args:
        folder: the folder of ``PulumiPolicy.yaml``, with a module ``pack`` that has ``NAME``,
            ``DESCRIPTION``, ``RULES``, ``AREAS`` and ``policies()``.

    Raises:
        Refused: there is no pack, or it can't be loaded.
    """

    def __init__(self, folder: Path) -> None:
        module = _loaded(folder.resolve())
        self.rules: Sequence[Any] = module.RULES
        self.areas: Mapping[str, str] = module.AREAS
        self._name: str = module.NAME
        self._policies = {each.name: each for each in module.policies()}
        self._servicers: dict[frozenset[str], Any] = {}
        info = _asked(
            self._servicer(frozenset(self._policies)), "GetAnalyzerInfo", empty_pb2.Empty()
        )
        self.policies = {each.name: _info(each) for each in info.policies}

    def check(
        self,
        stack: str,
        resources: Sequence[Resource],
        config: PackConfig,
        *,
        alone: bool = False,
    ) -> Findings:
        """What the rules say of the resources of a stack; ``alone``: of each by itself only.

        Raises:
            MoltghostError: a rule broke down.
        """
        found = self._run(stack, resources, config, alone=alone)
        if not config.has_exemptions:
            return found
        every = self._run(stack, resources, config.without_exemptions(), alone=alone)
        named = {(each.policy, each.urn, each.message) for each in found.violations}
        exempted = [
            each for each in every.violations if (each.policy, each.urn, each.message) not in named
        ]
        return Findings(
            violations=found.violations,
            undecided=found.undecided,
            exempted=tuple(exempted),
            expiring=expiring(config, exempted),
            resources=found.resources,
        )

    def _run(
        self, stack: str, resources: Sequence[Resource], config: PackConfig, *, alone: bool
    ) -> Findings:
        ready: set[frozenset[str]] = set()

        def ask(method: str, request: Any) -> Any:
            rules = self._concerned(request)
            if not rules:
                return analyzer_pb2.AnalyzeResponse()
            servicer = self._servicer(rules)
            if rules not in ready:
                ready.add(rules)
                infos = {name: self.policies[name] for name in rules}
                levels = {name: config.level(info) for name, info in infos.items()}
                servicer.Configure(config_request(config.values(infos), levels), None)
            return _asked(servicer, method, request)

        return read_answers(stack, resources, ask, alone=alone)

    def _concerned(self, request: Any) -> frozenset[str]:
        """The rules that look at a resource, or at any of a stack's.

        The SDK decodes every resource once per policy that it asks, which takes longer than the
        checks; so it isn't asked those that have nothing to say of a type.
        """
        several = getattr(request, "resources", None)
        types = {request.type} if several is None else {each.type for each in several}
        return frozenset(
            rule.id for rule in self.rules if any(rule.may_concern(type_) for type_ in types)
        )

    def _servicer(self, rules: frozenset[str]) -> Any:
        """The SDK's answerer for some of the rules, in the pack's order."""
        if rules not in self._servicers:
            asked = [policy for name, policy in self._policies.items() if name in rules]
            self._servicers[rules] = _PolicyAnalyzerServicer(
                self._name, "0.0.1", asked, EnforcementLevel.ADVISORY
            )
        return self._servicers[rules]


def read_answers(
    stack: str, resources: Sequence[Resource], ask: Any, *, alone: bool = False
) -> Findings:
    """Ask an analyzer about every resource, then about the stack.

    Args:
        stack: the stack's name.
        resources: its resources, providers included where they are known.
        ask: called with the protocol's method and request; returns its response.
        alone: don't ask about the stack.
    """
    providers = {each.urn: each for each in resources if each.type.startswith(_PROVIDER)}
    titles = {each.urn: title_of(each) for each in resources}
    violations: list[Violation] = []
    undecided: list[Undecided] = []

    def take(response: Any, urn: str) -> None:
        for diagnostic in response.diagnostics:
            where = diagnostic.urn or urn
            found = _finding(diagnostic, stack, where, titles.get(where, ""))
            if isinstance(found, Violation):
                violations.append(found)
            else:
                undecided.append(found)

    for each in resources:
        take(ask("Analyze", resource_request(each, providers)), each.urn)
    if not alone:
        take(ask("AnalyzeStack", stack_request(resources, providers)), "")
    return Findings(
        violations=tuple(dict.fromkeys(violations)),
        undecided=tuple(dict.fromkeys(undecided)),
        resources=len(resources),
    )


def _finding(diagnostic: Any, stack: str, urn: str, title: str) -> Violation | Undecided:
    level = analyzer_pb2.EnforcementLevel.Name(diagnostic.enforcementLevel).lower()
    return finding(
        diagnostic.message,
        policy=diagnostic.policyName,
        level=level,
        severity=_severity(diagnostic.severity),
        stack=stack,
        urn=urn,
        title=title,
    )


def finding(
    message: str, *, policy: str, level: str, severity: str, stack: str, urn: str, title: str
) -> Violation | Undecided:
    """What an analyzer said, whoever asked it.

    Args:
        message: the diagnostic: the rule's description on a line of its own, then what is wrong.
        policy: the rule's id.
        level: ``mandatory`` or ``advisory``.
        severity: the rule's severity, empty where it isn't known.
        stack: the stack's name.
        urn: the resource; empty for a rule about the whole stack.
        title: how people call the resource.
    """
    if message.startswith(_UNDECIDED):
        _, _, reason = message.partition("during preview: ")
        return Undecided(
            policy=policy, enforcement=level, stack=stack, resource=title, reason=reason
        )
    text, _, remediation = message.partition("\n")[2].partition(_FIX)
    return Violation(
        policy=policy,
        enforcement=level,
        severity=severity,
        stack=stack,
        resource=title,
        urn=urn,
        message=text.removeprefix(f"{title}: "),
        remediation=remediation,
    )


def _severity(number: Any) -> str:
    name = analyzer_pb2.PolicySeverity.Name(number).removeprefix("POLICY_SEVERITY_").lower()
    return "" if name == "unspecified" else name


def _info(message: Any) -> PolicyInfo:
    values: Mapping[str, Any] = json_format.MessageToDict(message.configSchema.properties)
    return PolicyInfo(
        name=message.name,
        description=message.description,
        enforcement=message.enforcementLevel,
        severity=_severity(message.severity),
        schema=values,
    )


def _asked(servicer: Any, method: str, request: Any) -> Any:
    try:
        return getattr(servicer, method)(request, None)
    except Exception as error:
        what = getattr(request, "urn", "") or "the stack"
        raise MoltghostError(
            f"a policy broke down on {what}: {type(error).__name__}",
            "this is a defect of the policy pack, not of the stack",
        ) from error


def _loaded(folder: Path) -> Any:
    """The module ``pack`` of the package in a folder, whatever the folder is called."""
    name = f"policy_pack_{hashlib.sha256(str(folder).encode()).hexdigest()[:12]}"
    init = folder / "__init__.py"
    if not init.is_file() or not (folder / "pack.py").is_file():
        raise Refused(
            f"{folder} holds no policy pack: it lacks __init__.py or pack.py",
            "restore the folder policies of the project",
        )
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(
            name, init, submodule_search_locations=[str(folder)]
        )
        assert spec and spec.loader  # noqa: S101 a file's spec always has a loader
        package = importlib.util.module_from_spec(spec)
        sys.modules[name] = package
        spec.loader.exec_module(package)
    return importlib.import_module(f"{name}.pack")
