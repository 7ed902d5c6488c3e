"""Names of resources: ``urn:pulumi:<stack>::<project>::<parent types>$<type>::<name>``."""

from __future__ import annotations

ROOT_TYPE = "pulumi:pulumi:Stack"
_PREFIX = "urn:pulumi:"


def make_urn(stack: str, project: str, parent: str, type_: str, name: str) -> str:
    """The URN of a resource; ``parent`` is a URN or empty. The root stack's type is left out."""
    parent_type = qualified_type(parent) if parent else ""
    if parent_type and parent_type != ROOT_TYPE:
        type_ = f"{parent_type}${type_}"
    return f"{_PREFIX}{stack}::{project}::{type_}::{name}"


def qualified_type(urn: str) -> str:
    """The types from the outermost component to the resource, joined by ``$``."""
    return urn.split("::", 3)[2]


def name_of(urn: str) -> str:
    """The logical name."""
    return urn.split("::", 3)[3]


def package_of(type_: str) -> str:
    """``kubernetes`` of ``kubernetes:apps/v1:Deployment``; the provided package of providers."""
    parts = type_.split(":")
    return parts[2] if is_provider(type_) else parts[0]


def is_provider(type_: str) -> bool:
    """Whether the type is a provider's, such as ``pulumi:providers:kubernetes``."""
    return type_.startswith("pulumi:providers:")


def provider_urn(reference: str) -> str:
    """The URN of a provider reference, which is ``<urn>::<id>``."""
    return reference.rpartition("::")[0]


def stack_of(reference: str) -> str:
    """The stack that a reference names: ``organization/project/stack``, or shorter."""
    return reference.rpartition("/")[2]


def project_of(reference: str) -> str:
    """The project that a reference names: ``organization/project/stack``; else ""."""
    return reference.split("/")[1] if reference.count("/") == 2 else ""
