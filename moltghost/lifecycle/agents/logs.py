"""The logs of an agent's containers, as its cluster keeps them.

OpenClaw writes the agent's replies to its log, so nothing ships logs anywhere by itself; reading
them is up to whoever may read the agent's namespace.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from moltghost.config import StackName
from moltghost.errors import Refused
from moltghost.kube.agents import list_agents
from moltghost.kube.client import Client
from moltghost.kube.pod_diagnosis import LiveObject, container_statuses
from moltghost.labels import agent_namespace
from moltghost.lifecycle.agents.change import no_such_agent

_DAY_SECONDS = 24 * 3600


@dataclass(frozen=True, kw_only=True)
class ContainerLog:
    """One container that has a log.

    Attributes:
        pod: its pod's name.
        namespace: the pod's.
        container: its name.
        started: whether it ever ran; without that it has no log.
    """

    pod: str
    namespace: str
    container: str
    started: bool


def container_logs(
    client: Client, stack: StackName, containers: Sequence[str] = ()
) -> list[ContainerLog]:
    """The containers of an agent's pods, in the order in which they start.

    Args:
        client: the environment's cluster.
        stack: the agent's stack.
        containers: only these; empty for all.

    Raises:
        Refused: there is no such agent or container, no pod, or its pods are simulated.
    """
    found = list_agents(client, stack.agent)
    if not found:
        raise no_such_agent(stack)
    [status] = found
    namespace = agent_namespace(stack.agent)
    pods = sorted(
        client.list("v1", "Pod", namespace),
        key=lambda pod: (pod["metadata"].get("creationTimestamp", ""), pod["metadata"]["name"]),
    )
    if not pods:
        raise Refused(
            f"agent {stack.agent} has no pods: it is {status.stage}",
            f"moltghost agent status {stack.agent} shows why",
        )
    if status.node and status.node.simulated:
        raise Refused(
            f"agent {stack.agent} has no logs: its node is simulated, so no container runs",
            "moltghost deploy hello --model gemma3-270m-q4 --gpu none makes an agent that runs",
        )
    logs = [log for pod in pods for log in _logs(pod, namespace)]
    known = dict.fromkeys(log.container for log in logs)
    if unknown := [name for name in containers if name not in known]:
        raise Refused(
            f"agent {stack.agent} has no container {unknown[0]}", f"it has {', '.join(known)}"
        )
    return [log for log in logs if not containers or log.container in containers]


def _logs(pod: LiveObject, namespace: str) -> Iterator[ContainerLog]:
    states = {each["name"]: each for each in container_statuses(pod)}
    spec = pod["spec"]
    for container in (*spec.get("initContainers", ()), *spec["containers"]):
        status = states.get(container["name"], {})
        ran = {"running", "terminated"} & {
            *status.get("state", {}),
            *status.get("lastState", {}),
        }
        yield ContainerLog(
            pod=pod["metadata"]["name"],
            namespace=namespace,
            container=container["name"],
            started=bool(ran),
        )


def read(client: Client, log: ContainerLog, *, lines: int, follow: bool) -> Iterator[str]:
    """The last lines of a log, or with ``follow`` all of it until the container ends."""
    if follow:
        yield from client.follow_log(
            log.pod, log.namespace, log.container, quiet_seconds=_DAY_SECONDS
        )
    else:
        yield from client.log_tail(log.pod, log.namespace, log.container, lines)
