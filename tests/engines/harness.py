"""A project with one of the test programs, and an engine on state of its own."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from moltghost.engines.embedded.engine import EmbeddedEngine
from moltghost.engines.interface import Op, Preview, Protected, Result
from moltghost.progress import Event

PROGRAMS = Path(__file__).parent / "programs"
Object = dict[str, Any]


class Harness:
    """One project; stacks are described by their ``spec``.

    Args:
        folder: where the project and its state are.
        program: which of the test programs.
        kubeconfig: the cluster.
    """

    def __init__(self, folder: Path, program: str = "objects", kubeconfig: str = "none") -> None:
        self.folder = folder
        self.project = folder / "project"
        shutil.copytree(PROGRAMS / program, self.project)
        self.state = folder / "stacks"
        self.kubeconfig = kubeconfig
        self.events: list[Event] = []
        self.engine = EmbeddedEngine(self.project, state=self.state, key=folder / "key")

    def write(self, stack: str, **spec: Any) -> Path:
        """Write the configuration of a stack."""
        document = {"config": {"moltghost:spec": {"kubeconfig": self.kubeconfig, **spec}}}
        path = self.project / f"Pulumi.{stack}.yaml"
        path.write_text(json.dumps(document))
        return path

    def preview(self, stack: str, **spec: Any) -> Preview:
        """Preview a stack with this ``spec``."""
        self.write(stack, **spec)
        return self.engine.preview(stack, report=self.events.append)

    def up(self, stack: str, **spec: Any) -> Result:
        """Bring a stack up with this ``spec``."""
        self.write(stack, **spec)
        result = self.engine.up(stack, report=self.events.append)
        assert_integrity(self.state_text(stack))
        return result

    def destroy(self, stack: str, *, protected: Protected = "refuse") -> Result:
        """Destroy a stack."""
        return self.engine.destroy(stack, protected=protected, report=self.events.append)

    def state_text(self, stack: str) -> str:
        """The state file of a stack."""
        return (self.state / f"{stack}.json").read_text()

    def details(self, task: str) -> list[str]:
        """What was told about a task, in order."""
        return [event.detail for event in self.events if event.task == task]


def assert_integrity(text: str) -> None:
    """What ``pulumi stack import`` checks: everything comes after what it needs, once."""
    seen: set[str] = set()
    for resource in json.loads(text)["deployment"]["resources"]:
        provider = resource.get("provider", "").rpartition("::")[0]
        needed = {resource.get("parent", ""), provider, *resource.get("dependencies", ())}
        for urns in resource.get("propertyDependencies", {}).values():
            needed.update(urns)
        assert needed - {""} <= seen, resource
        assert resource.get("delete") or resource["urn"] not in seen, resource
        seen.add(resource["urn"])


def ops(result: Preview | Result) -> dict[str, Op]:
    """The operation of each custom resource, by its title."""
    return {step.title: step.op for step in result.steps if step.custom}


def item(name: str, body: Object, **options: Any) -> Object:
    """One entry of ``objects``."""
    return {"name": name, "body": body, **options}


def namespace(name: str, **labels: str) -> Object:
    """A namespace."""
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}


def config_map(name: str, home: str, data: dict[str, str], **metadata: Any) -> Object:
    """A ConfigMap."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": home, **metadata},
        "data": data,
    }


def deployment(name: str, home: str, *, replicas: int = 1, **pod: Any) -> Object:
    """A Deployment of one container."""
    labels = {"app": name}
    container = {"name": "main", "image": pod.pop("image", "example.invalid/nothing:1")}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": home},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [container], **pod},
            },
        },
    }
