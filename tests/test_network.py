"""The evaluator of NetworkPolicies knows what Kubernetes documents."""

from __future__ import annotations

from typing import Any

import pytest

from tests.network import Endpoint, allowed, selects

A = Endpoint("a", "one", {"app": "a"}, {"name": "one"}, ports={"http": 80})
B = Endpoint("b", "one", {"app": "b"}, {"name": "one"})
C = Endpoint("c", "two", {"app": "a"}, {"name": "two"})
OUTSIDE = Endpoint("outside", address="192.0.2.7")


def policy(**spec: Any) -> dict[str, Any]:
    return {"metadata": {"namespace": "one"}, "spec": {"podSelector": {}, **spec}}


DENY_IN = policy(policyTypes=["Ingress"])
DENY_OUT = policy(policyTypes=["Egress"])


def test_without_a_policy_everything_is_open() -> None:
    assert allowed([], B, A, 80)
    assert allowed([], OUTSIDE, A, 80)


@pytest.mark.parametrize(
    ("policies", "source", "target", "expected"),
    [
        ([DENY_IN], B, A, False),
        ([DENY_IN], A, C, True),
        ([DENY_OUT], A, C, False),
        ([DENY_OUT], C, A, True),
        # Without policyTypes, a policy without egress rules holds for ingress only.
        ([policy()], C, A, False),
        ([policy()], A, C, True),
        # Rules of several policies add up.
        ([DENY_IN, policy(ingress=[{}])], C, A, True),
        ([policy(ingress=[{"from": [{"podSelector": {}}]}])], B, A, True),
        ([policy(ingress=[{"from": [{"podSelector": {}}]}])], C, A, False),
        ([policy(ingress=[{"from": [{"namespaceSelector": {}}]}])], C, A, True),
        ([policy(ingress=[{"from": [{"namespaceSelector": {}}]}])], OUTSIDE, A, False),
        ([policy(ingress=[{"from": [{"ipBlock": {"cidr": "192.0.2.0/24"}}]}])], OUTSIDE, A, True),
        (
            [
                policy(
                    ingress=[
                        {
                            "from": [
                                {"ipBlock": {"cidr": "192.0.2.0/24", "except": ["192.0.2.7/32"]}}
                            ]
                        }
                    ]
                )
            ],
            OUTSIDE,
            A,
            False,
        ),
        ([policy(ingress=[{"ports": [{"port": 80}]}])], B, A, True),
        ([policy(ingress=[{"ports": [{"port": "http"}]}])], B, A, True),
        ([policy(ingress=[{"ports": [{"port": 80, "protocol": "UDP"}]}])], B, A, False),
        ([policy(ingress=[{"ports": [{"port": 81}]}])], B, A, False),
        ([policy(ingress=[{"ports": [{"port": 1, "endPort": 80.0}]}])], B, A, True),
    ],
)
def test_a_connection_needs_both_ends(
    policies: list[Any], source: Endpoint, target: Endpoint, expected: bool
) -> None:
    assert allowed(policies, source, target, 80) is expected


@pytest.mark.parametrize(
    ("term", "expected"),
    [
        ({"key": "app", "operator": "In", "values": ["a"]}, True),
        ({"key": "app", "operator": "NotIn", "values": ["a"]}, False),
        ({"key": "x", "operator": "NotIn", "values": ["a"]}, True),
        ({"key": "app", "operator": "Exists"}, True),
        ({"key": "app", "operator": "DoesNotExist"}, False),
    ],
)
def test_selectors_have_four_operators(term: dict[str, Any], expected: bool) -> None:
    assert selects({"matchExpressions": [term]}, {"app": "a"}) is expected
