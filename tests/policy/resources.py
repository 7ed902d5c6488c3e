"""Resources as an engine hands them over."""

from __future__ import annotations

from typing import Any

from moltghost.engines.interface import AnalyzedResource


def resource(type_: str, inputs: dict[str, Any], name: str = "settings") -> AnalyzedResource:
    return AnalyzedResource(
        urn=f"urn:pulumi:test::moltghost::{type_}::{name}",
        type=type_,
        name=name,
        inputs=inputs,
        parent="",
        provider="",
        protect=False,
        dependencies=(),
    )


def config_map(data: Any) -> AnalyzedResource:
    metadata = {"name": "settings", "namespace": "agent-x"}
    return resource("kubernetes:core/v1:ConfigMap", {"metadata": metadata, "data": data})
