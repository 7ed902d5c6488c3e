"""Examples that many tests share: the environment `local`, specs and plans of agents."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from moltghost.config import (
    AgentSpec,
    EmbeddedCloudSpec,
    EnvironmentConfig,
    PlatformSpec,
    StackName,
    parse_spec,
)
from moltghost.planning.agent import AgentPlan, plan_agent
from moltghost.planning.update import UpdatePlan, plan_update

PROJECT = Path(__file__).parents[1]
EXAMPLES = PROJECT / "examples"
"""A whole project, which tests only read: the stacks of the docs."""
STACK = StackName.parse("my-agent.local")

# The pools of `local` and `prod` in this repository.
POOLS = ("l40s", "a100-40", "a100-80", "h100", "cpu", "weights")
LOCAL = EnvironmentConfig(
    "local",
    EmbeddedCloudSpec(kind="cloud", provider="embedded", machine=True),
    PlatformSpec.model_validate(
        {"kind": "platform", "pools": {name: {"max_nodes": 4} for name in POOLS}}
    ),
)

# The same without the machine's own node, and an agent that needs that node.
NO_MACHINE = EnvironmentConfig(
    "local", EmbeddedCloudSpec(kind="cloud", provider="embedded"), LOCAL.platform
)
HELLO: dict[str, Any] = {"model": "gemma3-270m-q4", "gpu": "none"}

# The agent of the README.
SPEC: dict[str, Any] = {
    "kind": "agent",
    "owner": "team-a",
    "model": "llama3.1-70b-q4",
    "context": "32k",
}


def agent_values(**changes: Any) -> dict[str, Any]:
    """The README's agent with changes, as it stands in a stack's config."""
    return {key: value for key, value in {**SPEC, **changes}.items() if value is not None}


def agent_spec(**changes: Any) -> AgentSpec:
    spec = parse_spec(agent_values(**changes), STACK)
    assert isinstance(spec, AgentSpec)
    return spec


def agent_plan(environment: EnvironmentConfig = LOCAL, **changes: Any) -> AgentPlan:
    return plan_agent(STACK, agent_spec(**changes), environment)


def update_plan(old: dict[str, Any], new: dict[str, Any]) -> UpdatePlan:
    """What going from one agent to another does; each given as changes of the README's agent."""
    return plan_update(agent_plan(**old), agent_plan(**new))
