"""Writes `docs/reference/flows.md` from what the stacks of this repository declare.

`make docs` runs it, and a test fails when the page isn't what it would write.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from moltghost.config import StackName, read_environment
from moltghost.engines.embedded.declared_resources import declared_resources
from moltghost.planning.aws.cloud import AwsCloudPlan
from moltghost.planning.aws.flows import POD_IDENTITY
from moltghost.planning.cloud import plan_cloud
from moltghost.planning.embedded import MACHINE_NETWORK

PROJECT = Path(__file__).parents[1]
EXAMPLES = PROJECT / "examples"
PAGE = PROJECT / "docs" / "reference" / "flows.md"
EVERYTHING = "every pod"
_NAME_LABELS = ("app.kubernetes.io/name", "k8s-app", "app")

_INTRO = """\
# Network flows

Written by `make docs` from what the stacks of this repository declare; don't edit it here.

A pod that a policy names has these flows and no other, in either direction; answers come back.
[Isolation](../guide/isolation.md) says what they are for, and what enforces them where.
"""

_AWS = """\
## AWS: `dev`

Pods on the host's network (network plugin, kube-proxy, Pod Identity agent) are beyond policies.
Agents are in the isolated subnets.
These have no route to public addresses but to S3's, by its gateway endpoint.
The control plane and the interface endpoints are in the control subnets.
"""


def page() -> str:
    """The text of the page: the embedded cluster, then AWS."""
    with tempfile.TemporaryDirectory() as folder:
        project = _project(Path(folder))
        return "\n".join([_INTRO, *_embedded(project), *_aws(project)])


def _project(folder: Path) -> Path:
    """The repository's stacks, and the README's agent on AWS too."""
    for file in (*EXAMPLES.glob("Pulumi*.yaml"), EXAMPLES / "__main__.py"):
        shutil.copy(file, folder)
    shutil.copy(folder / "Pulumi.my-agent.local.yaml", folder / "Pulumi.my-agent.dev.yaml")
    return folder


def _embedded(project: Path) -> Iterator[str]:
    yield "## The embedded cluster: `local`\n"
    yield _table(project, "local", {(MACHINE_NETWORK,): "the weights store"})


def _aws(project: Path) -> Iterator[str]:
    cloud = plan_cloud(read_environment(project, "dev"))
    assert isinstance(cloud, AwsCloudPlan)  # noqa: S101 the stack's file says `provider: aws`
    network = cloud.network
    words = {
        network.public_cidrs: "public addresses",
        (POD_IDENTITY[0],): "the Pod Identity agent",
        (network.cidr,): "the VPC",
    }
    for tier in ("isolated", "private", "edge", "control"):
        words[tuple(each.cidr for each in network.tier(tier))] = f"the {tier} subnets"
    yield _AWS
    yield _table(project, "dev", words)
    yield "Endpoints in the VPC, each with a policy of its own:\n"
    yield "\n".join(f"- `{each.service}` ({each.kind.lower()})" for each in network.endpoints)
    yield "\nNames that the DNS firewall lets through; every other is answered NXDOMAIN:\n"
    yield "\n".join(f"- `{name}`" for name in network.dns_allowed) + "\n"


def _table(project: Path, environment: str, words: Mapping[tuple[str, ...], str]) -> str:
    platform = StackName.parse(environment).platform
    rows = [
        row
        for stack in (StackName.of_agent("my-agent", environment), platform)
        for resource in declared_resources(project, str(stack))
        if resource.type.endswith(":NetworkPolicy")
        for row in _rows(resource.inputs, words)
    ]
    header = "| namespace | pods | | | port | policy |\n|---|---|---|---|---|---|"
    return "\n".join([header, *(f"| {' | '.join(row)} |" for row in rows)]) + "\n"


def _rows(
    policy: Mapping[str, Any], words: Mapping[tuple[str, ...], str]
) -> Iterator[tuple[str, ...]]:
    metadata, spec = policy["metadata"], policy["spec"]
    whose = (f"`{metadata['namespace']}`", _pods(spec["podSelector"]))
    flows = [
        *(("from", rule.get("from", []), rule["ports"]) for rule in spec.get("ingress") or []),
        *(("to", rule.get("to", []), rule["ports"]) for rule in spec.get("egress") or []),
    ]
    for direction, peers, ports in flows or [("", [], [])]:
        who = _peers(peers, words) if direction else "nobody"
        yield (*whose, direction, who, _ports(ports), f"`{metadata['name']}`")


def _peers(peers: Iterable[Mapping[str, Any]], words: Mapping[tuple[str, ...], str]) -> str:
    peers = list(peers)
    if all("ipBlock" in peer for peer in peers):
        return _addresses([peer["ipBlock"]["cidr"] for peer in peers], words)
    return ", ".join(_peer(peer) for peer in peers)


def _addresses(cidrs: Sequence[str], words: Mapping[tuple[str, ...], str]) -> str:
    """Addresses, with those that have a name by their name."""
    told = []
    for group, name in words.items():
        if set(group) <= set(cidrs):
            told.append(name if len(group) > 1 else f"{name} `{group[0]}`")
            cidrs = [each for each in cidrs if each not in group]
    return ", ".join([*(f"`{each}`" for each in cidrs), *told])


def _peer(peer: Mapping[str, Any]) -> str:
    pods = _pods(peer.get("podSelector", {}))
    if "namespaceSelector" not in peer:
        return pods
    spaces = peer["namespaceSelector"].get("matchLabels", {})
    if name := spaces.get("kubernetes.io/metadata.name"):
        return f"{pods} in `{name}`"
    return f"{pods} in " + (f"namespaces {_labels(spaces)}" if spaces else "any namespace")


def _pods(selector: Mapping[str, Any]) -> str:
    """Pods by the label that names them, where they have one."""
    labels = selector.get("matchLabels", {})
    name = next((labels[key] for key in _NAME_LABELS if key in labels), "")
    return f"`{name}`" if name else _labels(labels) or EVERYTHING


def _labels(labels: Mapping[str, str]) -> str:
    return _code(f"{key}={value}" for key, value in sorted(labels.items()))


def _ports(ports: Iterable[Mapping[str, Any]]) -> str:
    return ", ".join(f"{each['protocol']} {each['port']}" for each in ports)


def _code(words: Iterable[str]) -> str:
    return ", ".join(f"`{word}`" for word in words)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
