"""Resources as messages of the analyzer protocol."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from google.protobuf import struct_pb2
from pulumi.runtime.proto import analyzer_pb2
from pulumi_policy.proxy import UNKNOWN_STRING_VALUE


class Resource(Protocol):
    """A resource as policies see it: checked inputs in plain text and its options.

    A value in ``inputs`` that isn't JSON stands for one that isn't known yet.
    """

    @property
    def urn(self) -> str:
        """Pulumi's name of it."""

    @property
    def type(self) -> str:
        """The type token."""

    @property
    def name(self) -> str:
        """The logical name."""

    @property
    def inputs(self) -> Mapping[str, Any]:
        """Properties by their wire names."""

    @property
    def parent(self) -> str:
        """URN of the parent."""

    @property
    def provider(self) -> str:
        """URN and id of the provider, joined by ``::``."""

    @property
    def protect(self) -> bool:
        """Whether it may not be deleted."""

    @property
    def dependencies(self) -> tuple[str, ...]:
        """URNs of what it needs."""


def resource_request(
    resource: Resource, providers: Mapping[str, Resource]
) -> analyzer_pb2.AnalyzeRequest:
    """The request to analyze one resource."""
    return analyzer_pb2.AnalyzeRequest(
        type=resource.type,
        properties=_struct(resource.inputs),
        urn=resource.urn,
        name=resource.name,
        options=_options(resource),
        provider=_provider(resource, providers),
    )


def stack_request(
    resources: Sequence[Resource], providers: Mapping[str, Resource]
) -> analyzer_pb2.AnalyzeStackRequest:
    """The request to analyze all resources of a stack together."""
    return analyzer_pb2.AnalyzeStackRequest(
        resources=[
            analyzer_pb2.AnalyzerResource(
                type=each.type,
                properties=_struct(each.inputs),
                urn=each.urn,
                name=each.name,
                options=_options(each),
                provider=_provider(each, providers),
                parent=each.parent,
                dependencies=each.dependencies,
            )
            for each in resources
        ]
    )


def config_request(
    config: Mapping[str, Mapping[str, Any]], levels: Mapping[str, int]
) -> analyzer_pb2.ConfigureAnalyzerRequest:
    """The request to configure a pack; each policy needs its level, or becomes advisory."""
    request = analyzer_pb2.ConfigureAnalyzerRequest()
    for policy, values in config.items():
        entry = request.policyConfig[policy]
        entry.enforcementLevel = levels[policy]  # type: ignore[assignment]  # an enum's number
        entry.properties.update(values)
    return request


def title_of(resource: Resource) -> str:
    """How people call it: ``Deployment agent-x/runtime``, ``Cluster main``."""
    kind = resource.type.rpartition(":")[2]
    metadata = resource.inputs.get("metadata")
    if not resource.type.startswith("kubernetes:") or not isinstance(metadata, Mapping):
        return f"{kind} {resource.name}"
    name, namespace = (_text(metadata.get(key)) for key in ("name", "namespace"))
    name = name or resource.name
    return f"{kind} {namespace}/{name}" if namespace else f"{kind} {name}"


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _options(resource: Resource) -> analyzer_pb2.AnalyzerResourceOptions:
    return analyzer_pb2.AnalyzerResourceOptions(protect=resource.protect, parent=resource.parent)


def _provider(
    resource: Resource, providers: Mapping[str, Resource]
) -> analyzer_pb2.AnalyzerProviderResource | None:
    found = providers.get(resource.provider.rpartition("::")[0])
    if found is None:
        return None
    return analyzer_pb2.AnalyzerProviderResource(
        type=found.type, properties=_struct(found.inputs), urn=found.urn, name=found.name
    )


def _struct(values: Mapping[str, Any]) -> struct_pb2.Struct:
    struct = struct_pb2.Struct()
    struct.update({key: _json(value) for key, value in values.items()})
    return struct


def _json(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _json(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_json(item) for item in value]
    if value is None or isinstance(value, (str, bool, int, float)):
        return value
    return UNKNOWN_STRING_VALUE
