"""What the programs of the three layers hand to each other."""

from __future__ import annotations

from typing import Any
from unittest import mock

import pulumi
import pytest
from pulumi.runtime.mocks import MockMonitor

from moltghost.config import EnvironmentConfig, PlatformSpec
from moltghost.errors import Refused
from tests.examples import LOCAL, agent_values
from tests.rendering import render

STACKS = ["local", "platform.local", "my-agent.local"]


def outputs_of(stack: str) -> dict[str, Any]:
    """The outputs that a stack exports."""
    with mock.patch("pulumi.export") as export:
        render(stack)
    return {name: value for (name, value), _ in export.call_args_list}


def references(stack: str) -> list[str]:
    """The stacks that a stack reads."""
    found: list[str] = []
    original = MockMonitor.ReadResource

    def record(self: MockMonitor, request: Any) -> Any:
        if request.type == "pulumi:pulumi:StackReference":
            found.append(request.name)
        return original(self, request)  # type: ignore[no-untyped-call]

    with mock.patch.object(MockMonitor, "ReadResource", record):
        render(stack)
    return found


@pytest.mark.parametrize(
    ("stack", "below"),
    [
        ("local", []),
        ("platform.local", ["an-organization/moltghost/local"]),
        ("my-agent.local", ["an-organization/moltghost/platform.local"]),
    ],
)
def test_each_layer_reads_the_one_below(stack: str, below: list[str]) -> None:
    assert references(stack) == below


def test_an_agent_reads_the_platform_of_the_project_that_has_it() -> None:
    pulumi.runtime.set_config("moltghost:environment_project", "my-platform")
    try:
        assert references("my-agent.local") == ["an-organization/my-platform/platform.local"]
        with pytest.raises(Refused, match=r"stack platform\.local belongs to project my-platform"):
            render("platform.local")
    finally:
        pulumi.runtime.set_all_config({})


@pytest.mark.parametrize("stack", STACKS)
def test_outputs_are_flat_and_hold_no_credentials(stack: str) -> None:
    found = outputs_of(stack)
    assert found
    for name, value in found.items():
        assert isinstance(value, str | bool | int | float | list | pulumi.Output), name
        assert "token" not in name
        assert name == "kubeconfig" or not isinstance(value, pulumi.Output)


def test_every_layer_hands_on_what_the_next_one_reads() -> None:
    assert {"kubeconfig", "provider", "simulated_nodes"} <= set(outputs_of("local"))
    assert {"kubeconfig", "pools"} <= set(outputs_of("platform.local"))


def test_an_agents_outputs_say_what_it_runs_on_and_costs() -> None:
    found = outputs_of("my-agent.local")
    assert found["namespace"] == "agent-my-agent"
    assert found["model"] == "llama3.1-70b Q4_K_M"
    assert found["instance_type"] == "p5.4xlarge"
    assert float(found["node_usd_per_hour"]) == 6.88


@pytest.mark.parametrize("stack", STACKS[1:])
def test_objects_go_to_the_cluster_of_the_layer_below_by_server_side_apply(stack: str) -> None:
    [provider] = [each for each in render(stack) if each.type == "pulumi:providers:kubernetes"]
    assert provider.inputs["kubeconfig"] == "/nowhere/kubeconfig"
    assert str(provider.inputs["enableServerSideApply"]).lower() == "true"


def test_the_cloud_layer_of_the_embedded_cluster_creates_nothing() -> None:
    assert render("local") == []


def test_a_program_refuses_a_spec_of_another_kind() -> None:
    with pytest.raises(Refused, match=r"stack platform\.local is a platform stack by its name"):
        render("platform.local", agent_values())


def test_a_program_refuses_what_cannot_be_planned(monkeypatch: pytest.MonkeyPatch) -> None:
    pools = {"l40s": {"max_nodes": 1}, "cpu": {"max_nodes": 1}}
    platform = PlatformSpec.model_validate({"kind": "platform", "pools": pools})
    small = EnvironmentConfig("local", LOCAL.cloud, platform)
    monkeypatch.setattr("moltghost.infra.program.read_environment", lambda *_: small)
    with pytest.raises(Refused, match="fits no pool"):
        render("my-agent.local", agent_values(model="llama3.1-405b-f16"))
