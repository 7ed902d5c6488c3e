"""The ResourceMonitor service: translates the SDK's calls, and decides nothing.

The SDK calls it in process, each call in a thread of its own. What it can't carry is refused
by name.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Protocol

from google.protobuf import empty_pb2
from pulumi.runtime.proto import resource_pb2

from moltghost.engines.pulumi.urn import make_urn, package_of
from moltghost.engines.pulumi.values import decode, encode
from moltghost.errors import Refused

_FEATURES = (
    resource_pb2.RESOURCE_MONITOR_FEATURE_SECRETS,
    resource_pb2.RESOURCE_MONITOR_FEATURE_ALIAS_SPECS,
    resource_pb2.RESOURCE_MONITOR_FEATURE_DELETED_WITH,
)
_STOCK_HINT = "run this stack with the Pulumi CLI: pulumi up"


@dataclass(frozen=True, kw_only=True)
class Goal:
    """What the program wants of one resource."""

    urn: str
    type: str
    name: str
    custom: bool
    inputs: dict[str, Any]
    parent: str = ""
    provider: str = ""
    dependencies: tuple[str, ...] = ()
    property_dependencies: dict[str, list[str]] = field(default_factory=dict)
    protect: bool = False
    retain_on_delete: bool = False
    deleted_with: str = ""
    additional_secret_outputs: tuple[str, ...] = ()
    ignore_changes: tuple[str, ...] = ()
    custom_timeouts: dict[str, float] = field(default_factory=dict)
    aliases: tuple[str, ...] = ()

    def needs(self) -> set[str]:
        """URNs of the resources that must be there first."""
        found = {self.parent, self.provider.rpartition("::")[0], self.deleted_with}
        found.update(self.dependencies, *self.property_dependencies.values())
        return found - {""}


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What the program gets back for one resource.

    Args:
        id: the provider's name of it; empty while unknown.
        outputs: what is known of it.
        failed: it, or something that it needs, couldn't be made: its outputs stay unknown.
    """

    id: str = ""
    outputs: dict[str, Any] = field(default_factory=dict)
    failed: bool = False


class Registrar(Protocol):
    """Where the monitor takes what the program says; called from many threads."""

    stack: str
    project: str

    def register(self, goal: Goal) -> Answer:
        """A resource that the program makes."""
        ...

    def read(self, goal: Goal, id_: str) -> Answer:
        """A resource that the program looks up."""
        ...

    def register_outputs(self, urn: str, outputs: dict[str, Any]) -> None:
        """Outputs of a component, or of the stack."""
        ...

    def invoke(self, token: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """A function of a provider."""
        ...


class Monitor:
    """The service, in front of a registrar. Method names are the protocol's."""

    def __init__(self, registrar: Registrar, *, dry_run: bool) -> None:
        self._registrar = registrar
        self._dry_run = dry_run

    def GetDeploymentInfo(self, _request: Any) -> Any:
        """What the SDK may use."""
        return resource_pb2.DeploymentInfo(
            project=self._registrar.project,
            stack=self._registrar.stack,
            dryRun=self._dry_run,
            supportedFeatures=_FEATURES,
        )

    def RegisterResource(self, request: Any) -> Any:
        """Make a resource."""
        _refuse_unsupported(request)
        urn = self._urn(request)
        goal = Goal(
            urn=urn,
            type=request.type,
            name=request.name,
            custom=request.custom,
            inputs=decode(request.object),
            parent=request.parent,
            provider=request.provider,
            dependencies=tuple(request.dependencies),
            property_dependencies={
                key: list(item.urns) for key, item in request.propertyDependencies.items()
            },
            protect=request.protect,
            retain_on_delete=request.retainOnDelete,
            deleted_with=request.deletedWith,
            additional_secret_outputs=tuple(request.additionalSecretOutputs),
            ignore_changes=tuple(request.ignoreChanges),
            custom_timeouts=_timeouts(request.customTimeouts),
            aliases=self._aliases(request),
        )
        answer = self._registrar.register(goal)
        return resource_pb2.RegisterResourceResponse(
            urn=urn,
            id=answer.id,
            object=encode(answer.outputs),
            result=resource_pb2.Result.FAIL if answer.failed else resource_pb2.Result.SUCCESS,
        )

    def ReadResource(self, request: Any) -> Any:
        """Look a resource up."""
        urn = self._urn(request)
        goal = Goal(
            urn=urn,
            type=request.type,
            name=request.name,
            custom=True,
            inputs=decode(request.properties),
            parent=request.parent,
            provider=request.provider,
            dependencies=tuple(request.dependencies),
            additional_secret_outputs=tuple(request.additionalSecretOutputs),
        )
        answer = self._registrar.read(goal, request.id)
        return resource_pb2.ReadResourceResponse(urn=urn, properties=encode(answer.outputs))

    def RegisterResourceOutputs(self, request: Any) -> Any:
        """Take the outputs of a component, or of the stack."""
        self._registrar.register_outputs(request.urn, decode(request.outputs))
        return empty_pb2.Empty()

    def Invoke(self, request: Any) -> Any:
        """Call a function of a provider."""
        answer = self._registrar.invoke(request.tok, decode(request.args))
        fields: dict[str, Any] = {"return": encode(answer)}  # a keyword of Python
        return resource_pb2.ResourceInvokeResponse(**fields)

    def Call(self, request: Any) -> Any:
        """Refuse: only components of other languages have methods."""
        raise Refused(f"the embedded engine can't call {request.tok}", _STOCK_HINT)

    def SignalAndWaitForShutdown(self, _request: Any) -> Any:
        """Nothing to wait for: there are no delete hooks."""
        return empty_pb2.Empty()

    def _urn(self, request: Any) -> str:
        registrar = self._registrar
        return make_urn(
            registrar.stack, registrar.project, request.parent, request.type, request.name
        )

    def _aliases(self, request: Any) -> tuple[str, ...]:
        specified = [alias.urn or self._alias_urn(alias.spec, request) for alias in request.aliases]
        return (*request.aliasURNs, *specified)

    def _alias_urn(self, spec: Any, request: Any) -> str:
        parent = "" if spec.noParent else spec.parentUrn or request.parent
        return make_urn(
            spec.stack or self._registrar.stack,
            spec.project or self._registrar.project,
            parent,
            spec.type or request.type,
            spec.name or request.name,
        )


def _refuse_unsupported(request: Any) -> None:
    if request.remote:
        raise Refused(
            f"{request.name} is a component of the package {package_of(request.type)}, "
            "which runs in a plugin; the embedded engine has no plugins",
            _STOCK_HINT,
        )
    if request.importId:
        raise Refused(
            f"{request.name} has the option import_, which the embedded engine doesn't support",
            _STOCK_HINT,
        )


def _timeouts(timeouts: Any) -> dict[str, float]:
    """Seconds by operation of Go durations such as ``1h30m`` and ``600s``."""
    found = {}
    for operation in ("create", "update", "delete"):
        if text := getattr(timeouts, operation):
            found[operation] = go_duration_seconds(text)
    return found


_UNIT_SECONDS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001, "us": 1e-6, "ns": 1e-9}


def go_duration_seconds(text: str) -> float:
    """Seconds of a Go duration: ``10m`` is 600.

    Raises:
        Refused: the text is no duration.
    """
    parts = re.findall(r"(\d+(?:\.\d+)?)(h|ms|us|ns|m|s)", text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise Refused(f"{text!r} is not a duration", "write timeouts like 90s, 10m or 1h30m")
    return sum(float(number) * _UNIT_SECONDS[unit] for number, unit in parts)
