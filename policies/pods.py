"""Pods, wherever a resource carries them, and their containers of every sort."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from .reading import get, items, labels, mapping, matches, quantity
from .rule import Subject, texts

GPU = "nvidia.com/gpu"
POD_TYPES = (
    "kubernetes:core/v1:Pod",
    "kubernetes:apps/v1:Deployment",
    "kubernetes:apps/v1:StatefulSet",
    "kubernetes:apps/v1:DaemonSet",
    "kubernetes:apps/v1:ReplicaSet",
    "kubernetes:batch/v1:Job",
    "kubernetes:batch/v1:CronJob",
)
AGENTS = {"namespaces": texts(["agent-*"], "Namespaces of agents, * matches.")}
"""The setting of rules about agents' namespaces."""
_TEMPLATES = {"Pod": "", "CronJob": "spec.jobTemplate.spec.template"}


@dataclass(frozen=True)
class Container:
    """One container, init containers and native sidecars included."""

    name: str
    role: str
    """``container``, ``init container``, ``sidecar`` or ``ephemeral container``."""
    spec: Mapping[str, Any]

    def __str__(self) -> str:
        return f"{self.role} {self.name}"

    @property
    def runs_on(self) -> bool:
        """Whether it runs as long as the pod."""
        return self.role in ("container", "sidecar")


@dataclass(frozen=True)
class Pod:
    """A pod, or the template of pods."""

    metadata: Mapping[str, Any]
    spec: Mapping[str, Any]

    @property
    def containers(self) -> Iterator[Container]:
        """Every container."""
        for one in items(self.spec, "initContainers"):
            sidecar = get(one, "restartPolicy") == "Always"
            yield Container(_name(one), "sidecar" if sidecar else "init container", one)
        for one in items(self.spec, "containers"):
            yield Container(_name(one), "container", one)
        for one in items(self.spec, "ephemeralContainers"):
            yield Container(_name(one), "ephemeral container", one)

    @property
    def gpus(self) -> int:
        """GPUs that its containers ask for together; sidecars and containers run side by side."""
        asked = (
            quantity(mapping(each.spec, f"resources.{kind}").get(GPU, 0)) or 0
            for each in self.containers
            for kind in ("limits", "requests")
            if GPU in mapping(each.spec, f"resources.{kind}")
        )
        return int(max(asked, default=0))


def pod_of(subject: Subject) -> Pod:
    """The pod, or pod template, of a resource of ``POD_TYPES``."""
    template = _TEMPLATES.get(subject.kind, "spec.template")
    holder = mapping(subject.props, template) if template else subject.props
    return Pod(mapping(holder, "metadata"), mapping(holder, "spec"))


def env_of(container: Container) -> dict[str, str]:
    """Environment variables with literal values; what refers to a Secret is left out."""
    return {
        str(get(each, "name", "")): str(get(each, "value", ""))
        for each in items(container.spec, "env")
        if "value" in each
    }


def namespace_of(subject: Subject) -> str:
    """The namespace of an object; its own name for a Namespace, empty if it has none."""
    key = "metadata.name" if subject.kind == "Namespace" else "metadata.namespace"
    return str(get(subject.props, key, ""))


def is_agent_namespace(subject: Subject, patterns: Any) -> bool:
    """Whether a Namespace is an agent's: by its name, or by the label of one."""
    return matches(namespace_of(subject), patterns) or "moltghost.dev/agent" in labels(
        subject.props
    )


def _name(container: Any) -> str:
    return str(get(container, "name", "?"))
