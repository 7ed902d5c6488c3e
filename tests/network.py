"""NetworkPolicies evaluated as Kubernetes documents them: may this pod reach that one?

A pod is isolated in a direction once any policy of its namespace selects it and names that
direction; then only what some such policy allows goes through. A connection needs both ends.
No enforcer runs on the embedded cluster, so this is how the policies are tested.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Policy = Mapping[str, Any]


@dataclass(frozen=True)
class Endpoint:
    """A pod, or an address outside of the cluster (without labels and namespace)."""

    name: str
    namespace: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    namespace_labels: Mapping[str, str] = field(default_factory=dict)
    address: str = "10.0.0.1"
    ports: Mapping[str, int] = field(default_factory=dict)
    """Named ports."""

    @property
    def is_pod(self) -> bool:
        return bool(self.namespace)


def allowed(
    policies: Iterable[Policy], source: Endpoint, target: Endpoint, port: int, protocol: str = "TCP"
) -> bool:
    """Whether a connection comes through."""
    known = list(policies)
    out = _passes(known, "Egress", source, target, target, port, protocol)
    return out and _passes(known, "Ingress", target, source, target, port, protocol)


def _passes(
    policies: list[Policy],
    direction: Literal["Ingress", "Egress"],
    subject: Endpoint,
    peer: Endpoint,
    target: Endpoint,
    port: int,
    protocol: str,
) -> bool:
    if not subject.is_pod:
        return True
    holding = [p for p in policies if _holds(p, direction, subject)]
    if not holding:
        return True
    side = "from" if direction == "Ingress" else "to"
    return any(
        _peer_matches(rule.get(side), peer, policy["metadata"]["namespace"])
        and _port_matches(rule.get("ports"), target, port, protocol)
        for policy in holding
        for rule in policy["spec"].get(direction.lower()) or ()
    )


def _holds(policy: Policy, direction: str, pod: Endpoint) -> bool:
    spec = policy["spec"]
    # Without policyTypes: ingress always, egress where there are egress rules.
    types = spec.get("policyTypes") or ["Ingress", *(["Egress"] if spec.get("egress") else [])]
    return (
        policy["metadata"]["namespace"] == pod.namespace
        and direction in types
        and selects(spec["podSelector"], pod.labels)
    )


def _peer_matches(peers: list[Mapping[str, Any]] | None, other: Endpoint, space: str) -> bool:
    """No list of peers means everybody."""
    return not peers or any(_is_peer(peer, other, space) for peer in peers)


def _is_peer(peer: Mapping[str, Any], other: Endpoint, space: str) -> bool:
    if block := peer.get("ipBlock"):
        address = ipaddress.ip_address(other.address)
        inside = address in ipaddress.ip_network(block["cidr"])
        return inside and not any(
            address in ipaddress.ip_network(each) for each in block.get("except", ())
        )
    if not other.is_pod:
        return False
    if "namespaceSelector" in peer:
        if not selects(peer["namespaceSelector"], other.namespace_labels):
            return False
    elif other.namespace != space:
        return False
    return selects(peer.get("podSelector", {}), other.labels)


def _port_matches(
    ports: list[Mapping[str, Any]] | None, target: Endpoint, port: int, protocol: str
) -> bool:
    """No list of ports means every port."""
    return not ports or any(_is_port(each, target, port, protocol) for each in ports)


def _is_port(rule: Mapping[str, Any], target: Endpoint, port: int, protocol: str) -> bool:
    if rule.get("protocol", "TCP") != protocol:
        return False
    wanted = rule.get("port")
    if wanted is None:
        return True
    if isinstance(wanted, str):
        return target.ports.get(wanted) == port
    return bool(wanted <= port <= rule.get("endPort", wanted))


def selects(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    """Whether a label selector selects; an empty one selects everything."""
    return all(_terms(selector, labels))


def _terms(selector: Mapping[str, Any], labels: Mapping[str, str]) -> Iterator[bool]:
    for key, value in selector.get("matchLabels", {}).items():
        yield labels.get(key) == value
    for term in selector.get("matchExpressions", ()):
        key, values = term["key"], term.get("values", ())
        yield {
            "In": labels.get(key) in values,
            "NotIn": labels.get(key) not in values,
            "Exists": key in labels,
            "DoesNotExist": key not in labels,
        }[term["operator"]]
