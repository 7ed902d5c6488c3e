"""The flows of an agent: exactly the documented ones, over all pairs of pods."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from moltghost.planning.agent import AgentPlan, plan_agent
from tests.components.cases import agent, pod_of
from tests.examples import LOCAL, STACK, agent_spec, agent_values
from tests.network import Endpoint, allowed
from tests.rendering import objects, render

GATE, METRICS, OLLAMA, GATEWAY, DNS, STORE = 11434, 9180, 11435, 18789, 53, 7070
PORTS = [(port, "TCP") for port in (GATE, METRICS, OLLAMA, GATEWAY, DNS, STORE, 22, 80, 443, 10250)]
PORTS += [(DNS, "UDP"), (GATE, "UDP")]

AGENTS = ("my-agent", "other")
WEIGHTS = Endpoint("weights", address="198.51.100.9")
INTERNET = Endpoint("internet", address="203.0.113.5")
KUBE_SYSTEM = {"kubernetes.io/metadata.name": "kube-system"}
DNS_POD = Endpoint("dns", "kube-system", {"k8s-app": "kube-dns"}, KUBE_SYSTEM)
OUTSIDERS = [
    DNS_POD,
    Endpoint("node-agent", "kube-system", {"k8s-app": "agent"}, KUBE_SYSTEM),
    Endpoint("stranger", "default", {}, {"kubernetes.io/metadata.name": "default"}),
    # Somebody else's pod with our labels, and somebody else's "DNS".
    Endpoint(
        "copycat",
        "default",
        {"app.kubernetes.io/name": "runtime", "moltghost.dev/agent": "my-agent"},
        {"kubernetes.io/metadata.name": "default"},
    ),
    Endpoint("false-dns", "default", {"k8s-app": "kube-dns"}, {"kubernetes.io/metadata.name": "d"}),
    WEIGHTS,
    INTERNET,
]


def pods_of(name: str) -> list[Endpoint]:
    """The two pods of an agent and one that somebody put beside them."""
    space = objects(agent("readme", name), "Namespace")[f"agent-{name}"]["metadata"]
    labels = {**space["labels"], "kubernetes.io/metadata.name": space["name"]}
    named = {
        pod: dict(pod_of("readme", pod, name)["metadata"]["labels"])
        for pod in ("model-server", "runtime")
    }
    return [
        Endpoint(f"{name}/{pod}", space["name"], own, labels)
        for pod, own in {**named, "beside": {}}.items()
    ]


def policies_of(name: str) -> list[dict[str, Any]]:
    return list(objects(agent("readme", name), "NetworkPolicy").values())


def flows(policies: list[dict[str, Any]]) -> Iterator[tuple[str, str, int, str]]:
    """Every connection that comes through and has an agent's pod at an end."""
    inside = [pod for name in AGENTS for pod in pods_of(name)]
    for source in [*inside, *OUTSIDERS]:
        for target in [*inside, *OUTSIDERS]:
            if source is target or (source in OUTSIDERS and target in OUTSIDERS):
                continue
            for port, protocol in PORTS:
                if allowed(policies, source, target, port, protocol):
                    yield (source.name, target.name, port, protocol)


DOCUMENTED = {
    *((f"{name}/runtime", f"{name}/model-server", GATE, "TCP") for name in AGENTS),
    *(
        (f"{name}/{pod}", "dns", DNS, protocol)
        for name in AGENTS
        for pod in ("model-server", "runtime", "beside")
        for protocol in ("UDP", "TCP")
    ),
}


def test_exactly_the_documented_flows_come_through() -> None:
    policies = [policy for name in AGENTS for policy in policies_of(name)]
    assert set(flows(policies)) == DOCUMENTED


def test_one_agents_policies_alone_keep_the_others_away() -> None:
    mine = [flow for flow in flows(policies_of("my-agent")) if "my-agent/" in flow[0] + flow[1]]
    assert set(mine) == {flow for flow in DOCUMENTED if flow[0].startswith("my-agent/")}


def test_without_the_default_deny_the_evaluator_would_find_more() -> None:
    """Or the test above could pass because the evaluator lets nothing through."""
    policies = [
        policy
        for name in AGENTS
        for policy in policies_of(name)
        if policy["metadata"]["name"] not in {"default-deny", "dns"}
    ]
    assert set(flows(policies)) > {flow for flow in DOCUMENTED if flow[2] == GATE}


def test_nothing_in_and_nothing_out_is_the_default_for_every_pod() -> None:
    [policy] = [p for p in policies_of("my-agent") if p["metadata"]["name"] == "default-deny"]
    assert policy["spec"]["podSelector"] == {}
    assert sorted(policy["spec"]["policyTypes"]) == ["Egress", "Ingress"]
    assert not policy["spec"].get("ingress")
    assert not policy["spec"].get("egress")


def test_every_policy_names_both_directions() -> None:
    for policy in policies_of("my-agent"):
        assert sorted(policy["spec"]["policyTypes"]) == ["Egress", "Ingress"]


@pytest.fixture
def with_a_weights_store(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    def planned(*_: object) -> AgentPlan:
        plan = plan_agent(STACK, agent_spec(), LOCAL)
        cidrs = {"weights_egress_cidrs": ("198.51.100.0/28",)}
        return plan.model_copy(update={"isolation": plan.isolation.model_copy(update=cidrs)})

    monkeypatch.setattr("moltghost.infra.program.plan_agent", planned)
    return list(objects(render("my-agent.local", agent_values()), "NetworkPolicy").values())


def test_a_weights_store_is_reached_by_the_model_server_on_its_port_only(
    with_a_weights_store: list[dict[str, Any]],
) -> None:
    policies = [*with_a_weights_store, *policies_of("other")]
    assert set(flows(policies)) - DOCUMENTED == {
        ("my-agent/model-server", "weights", STORE, "TCP"),
    }


def test_the_store_of_this_machine_is_reached_and_no_pod_on_its_port() -> None:
    store = Endpoint("store", address="198.18.7.2")
    [server, *others] = pods_of("my-agent")
    policies = policies_of("my-agent")
    assert allowed(policies, server, store, STORE)
    assert not allowed(policies, server, store, 443)
    assert not any(allowed(policies, other, store, STORE) for other in others)
