"""Pods, wherever a resource carries them, and their containers of every sort."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import wraps
from typing import Any

from pulumi_policy.proxy import UnknownValueError

from .reading import get, items, labels, mapping, matches, quantity
from .rule import Check, Config, texts
from .subject import Subject

GPU = "nvidia.com/gpu"
PODS = ("kubernetes:*",)
"""The types of a rule about pods: any kind may carry a template of them."""
AGENTS = {"namespaces": texts(["agent-*"], "Namespaces of agents, * matches.")}
"""The setting of rules about agents' namespaces."""
# Where the kinds of Kubernetes itself have their template; its other kinds have none.
_TEMPLATES = {
    "kubernetes:core/v1:Pod": "",
    "kubernetes:core/v1:PodTemplate": "template",
    "kubernetes:core/v1:ReplicationController": "spec.template",
    "kubernetes:apps/v1:Deployment": "spec.template",
    "kubernetes:apps/v1:StatefulSet": "spec.template",
    "kubernetes:apps/v1:DaemonSet": "spec.template",
    "kubernetes:apps/v1:ReplicaSet": "spec.template",
    "kubernetes:batch/v1:Job": "spec.template",
    "kubernetes:batch/v1:CronJob": "spec.jobTemplate.spec.template",
}
_CONTAINERS = ("containers", "initContainers", "ephemeralContainers")
# Fields whose unknown value may be a pod's.
_MAY_HOLD_PODS = {"spec", "template", "podSpec", "podTemplate", *_CONTAINERS}


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


def pods_of(subject: Subject) -> Iterator[Pod]:
    """Every pod, or template of pods, in a resource.

    The kinds of Kubernetes itself have one at a known place; in any other kind it is found by its
    shape: what has containers with a name or an image is the spec of a pod.

    Raises:
        UnknownValueError: a part that may hold a pod isn't known yet.
    """
    if subject.type in _TEMPLATES:
        template = _TEMPLATES[subject.type]
        holder = mapping(subject.props, template) if template else subject.props
        if not template or holder:
            yield Pod(mapping(holder, "metadata"), mapping(holder, "spec"))
    elif subject.is_kubernetes and not subject.is_builtin:
        yield from _found(subject.props, {})


def has_pods(subject: Subject) -> bool:
    """Whether a resource carries a pod or a template of pods."""
    return next(pods_of(subject), None) is not None


def pods_in(subjects: Iterable[Subject]) -> Iterator[tuple[Subject, Pod]]:
    """Every pod, or template of pods, of a stack with the resource that carries it."""
    for subject in subjects:
        for pod in pods_of(subject):
            yield subject, pod


def of_each_pod(check: Callable[[Pod, Config], Iterator[str]]) -> Check:
    """A check of each pod in a resource, as a check of the resource."""

    @wraps(check)
    def over(subject: Subject, config: Config) -> Iterator[str]:
        for pod in pods_of(subject):
            yield from check(pod, config)

    return over


def _found(value: Any, metadata: Mapping[str, Any]) -> Iterator[Pod]:
    """The pods inside nested properties; ``metadata`` is that of what holds them."""
    if isinstance(value, Mapping):
        if any(_are_containers(value, key) for key in _CONTAINERS):
            yield Pod(metadata, value)
            return
        around = mapping(value, "metadata")
        for key in value:
            try:
                inner = value[key]
            except UnknownValueError:
                if key in _MAY_HOLD_PODS:
                    raise
                continue
            yield from _found(inner, around)
    elif isinstance(value, Sequence) and not isinstance(value, str):
        for number in range(len(value)):
            with suppress(UnknownValueError):
                yield from _found(value[number], {})


def _are_containers(value: Mapping[str, Any], key: str) -> bool:
    found = items(value, key)
    return bool(found) and all(
        isinstance(each, Mapping) and ("name" in each or "image" in each) for each in found
    )


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
