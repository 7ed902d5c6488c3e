"""Parts that all our pods have, as Kubernetes writes them: hardening, shares, volumes, probes.

They are plain, so that Pulumi's components and the jobs that no program declares
(`components.weights_job`) have one source. Nothing here loads Pulumi. What all of them are held to
is more than Pod Security `restricted` asks for: non-root, no capability, no privilege escalation,
a read-only root file system and the runtime's seccomp profile.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from moltghost.planning.model_server import Share
from moltghost.planning.pools import Taint

UID = 1000
PROBE_PERIOD_SECONDS = 5
LAST_LINES = "FallbackToLogsOnError"
"""agent-tools leaves the reason of a failure as the container's termination message; where it
can't, because it was killed, its last lines stand for it."""
# Ollama answers within a second of its start; a minute covers a throttled node.
_OLLAMA_START_SECONDS = 60


def pod_security() -> Any:
    """For ``spec.securityContext`` of a pod."""
    return {
        "runAsNonRoot": True,
        "runAsUser": UID,
        "runAsGroup": UID,
        "fsGroup": UID,
        "fsGroupChangePolicy": "OnRootMismatch",
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def container_security() -> Any:
    """For ``securityContext`` of a container."""
    return {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


def tolerations(taints: Iterable[Taint]) -> Any:
    """A toleration of each taint, and of nothing else."""
    return [
        {"key": each.key, "operator": "Equal", "value": each.value, "effect": each.effect}
        for each in taints
    ]


def resources(share: Share, extra: Mapping[str, str] | None = None) -> Any:
    """Requests equal limits, but for the CPU: an idle neighbour's cycles may be used."""
    limits = {
        "memory": str(share.memory_bytes),
        "ephemeral-storage": str(share.ephemeral_bytes),
        **(extra or {}),
    }
    return {"requests": {"cpu": f"{share.cpu_millis}m", **limits}, "limits": limits}


def env(values: Mapping[str, str]) -> Any:
    """Variables of a container; none is a secret."""
    return [{"name": name, "value": value} for name, value in values.items()]


def scratch(name: str, size_bytes: int) -> Any:
    """A writable volume that goes with the pod; on GPU nodes it lies on NVMe."""
    return {"name": name, "emptyDir": {"sizeLimit": str(size_bytes)}}


def mount(volume: str, path: str, *, below: str = "", read_only: bool | None = None) -> Any:
    """Where a container sees a volume, or the folder ``below`` of it."""
    return {
        "name": volume,
        "mountPath": path,
        **({"subPath": below} if below else {}),
        **({} if read_only is None else {"readOnly": read_only}),
    }


def exec_probe(command: list[str], budget_seconds: int) -> Any:
    """A probe that may fail for ``budget_seconds`` before it counts."""
    return {
        "exec": {"command": command},
        "periodSeconds": PROBE_PERIOD_SECONDS,
        "timeoutSeconds": PROBE_PERIOD_SECONDS,
        "failureThreshold": max(1, -(-budget_seconds // PROBE_PERIOD_SECONDS)),
    }


def ollama_probe() -> Any:
    """`ollama ls` asks the server on loopback, which the kubelet's HTTP probes can't reach."""
    return exec_probe(["ollama", "ls"], _OLLAMA_START_SECONDS)
