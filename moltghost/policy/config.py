"""The config of a pack in one environment: levels, settings and exemptions, by rule.

It is the file that the stock CLI takes with ``--policy-pack-config``: a JSON object with, for each
rule, a level or an object of ``enforcementLevel`` and settings. The key ``all`` sets the level of
every rule that isn't named.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pulumi.runtime.proto import analyzer_pb2

from moltghost.errors import Refused

_LEVEL = "enforcementLevel"
_ALL = "all"
_EXEMPTIONS = "exemptions"
_LEVELS = {
    "advisory": analyzer_pb2.ADVISORY,
    "mandatory": analyzer_pb2.MANDATORY,
    "disabled": analyzer_pb2.DISABLED,
}
_JSON_TYPES: dict[str, tuple[type, ...]] = {
    "array": (list,),
    "boolean": (bool,),
    "integer": (int,),
    "number": (int, float),
    "object": (dict,),
    "string": (str,),
}
_EXEMPTION_KEYS = {"kind", "name", "problem", "reason", "expires"}
_NAMESPACE = "namespace"


@dataclass(frozen=True, kw_only=True)
class PolicyInfo:
    """What a pack says of one policy."""

    name: str
    description: str
    enforcement: int
    """The protocol's number of its own level."""
    severity: str
    schema: Mapping[str, Any]
    """JSON schema by setting."""

    @property
    def level(self) -> str:
        """``mandatory`` or ``advisory``."""
        return analyzer_pb2.EnforcementLevel.Name(self.enforcement).lower()  # type: ignore[arg-type]


@dataclass(frozen=True)
class PackConfig:
    """Config by rule."""

    rules: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def level(self, policy: PolicyInfo) -> int:
        """The protocol's number of the level that a policy has here."""
        for name in (policy.name, _ALL):
            if level := self.rules.get(name, {}).get(_LEVEL):
                return _LEVELS[level]
        return policy.enforcement

    def values(self, policies: Mapping[str, PolicyInfo]) -> dict[str, dict[str, Any]]:
        """The settings of every policy."""
        return {
            name: {key: value for key, value in self.rules.get(name, {}).items() if key != _LEVEL}
            for name in policies
        }

    def exemptions(self, policy: str) -> Sequence[Mapping[str, str]]:
        """The exemptions from a rule, as they are written."""
        found: Sequence[Mapping[str, str]] = self.rules.get(policy, {}).get(_EXEMPTIONS, ())
        return found

    @property
    def has_exemptions(self) -> bool:
        """Whether any resource is exempt from any rule."""
        return any(rule.get(_EXEMPTIONS) for rule in self.rules.values())

    def without_exemptions(self) -> PackConfig:
        """The same for everybody."""
        return PackConfig(
            {
                name: {key: value for key, value in rule.items() if key != _EXEMPTIONS}
                for name, rule in self.rules.items()
            }
        )


def config_file(pack: Path, environment: str) -> Path:
    """Where the config of an environment is kept."""
    return pack / "config" / f"{environment}.json"


def read_config(file: Path, policies: Mapping[str, PolicyInfo]) -> PackConfig:
    """The config in a file; the pack's own levels and settings if there is no file.

    Raises:
        Refused: it names what the pack doesn't have, or has values of the wrong type.
    """
    if not file.is_file():
        return PackConfig()
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise _wrong(file, f"isn't JSON: {error}") from error
    if not isinstance(document, dict):
        raise _wrong(file, "doesn't contain an object of rules")
    rules = {}
    for name, entry in document.items():
        if name != _ALL and name not in policies:
            raise _wrong(file, f"names the rule {name}, which the pack doesn't have")
        rule = {_LEVEL: entry} if isinstance(entry, str) else entry
        schema = policies[name].schema if name != _ALL else {}
        _check_rule(file, name, rule, schema)
        rules[name] = rule
    return PackConfig(rules)


def _check_rule(file: Path, name: str, rule: Any, schema: Mapping[str, Any]) -> None:
    if not isinstance(rule, dict):
        raise _wrong(file, f"gives the rule {name} neither a level nor settings")
    if rule.get(_LEVEL, "mandatory") not in _LEVELS:
        raise _wrong(file, f"gives the rule {name} a level that isn't one of {', '.join(_LEVELS)}")
    for key, value in rule.items():
        if key == _LEVEL:
            continue
        if key not in schema:
            known = ", ".join(schema) or "none"
            raise _wrong(file, f"sets {key} of the rule {name}; its settings are {known}")
        if not isinstance(value, _JSON_TYPES[schema[key]["type"]]):
            raise _wrong(file, f"sets {key} of the rule {name} to no {schema[key]['type']}")
    for exemption in rule.get(_EXEMPTIONS, ()):
        if not isinstance(exemption, dict) or set(exemption) - {_NAMESPACE} != _EXEMPTION_KEYS:
            raise _wrong(
                file,
                f"has an exemption from {name} that doesn't have kind, name, problem, reason and "
                "expires, and namespace where the object is in one",
            )
        if any("*" in str(exemption.get(key, "")) for key in ("kind", _NAMESPACE, "name")):
            raise _wrong(file, f"has an exemption from {name} of more than one object: it has a *")


def _wrong(file: Path, what: str) -> Refused:
    return Refused(f"{file} {what}", "correct it; moltghost policy explain ID shows the settings")
