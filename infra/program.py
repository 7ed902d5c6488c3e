"""Which program a stack runs, told by its config."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from infra.agent import declare_agent
from infra.cloud import declare_cloud
from infra.owner import require_owner
from infra.platform import declare_platform
from moltghost.config import AgentSpec, StackName, parse_spec, read_environment
from moltghost.ownership import EngineName
from moltghost.planning.agent import plan_agent
from moltghost.planning.cloud import plan_cloud
from moltghost.planning.platform import plan_platform


def declare(project: Path, stack: str, spec: Any, engine: EngineName) -> None:
    """Declare the resources of ``stack``.

    Args:
        project: folder with ``Pulumi.yaml``; the environment's config files lie beside it.
        stack: the stack's name.
        spec: the value of ``moltghost:spec`` in the stack's config.
        engine: the one that runs the program.

    Raises:
        Refused: the config is invalid, or the stack belongs to another engine.
    """
    name = StackName.parse(stack)
    parsed = parse_spec(spec, name)
    environment = read_environment(project, name.environment)
    if isinstance(parsed, AgentSpec):
        plan = plan_agent(name, parsed, environment)
        require_owner(name, environment, engine, plan.namespace)
        declare_agent(plan, engine)
        return
    require_owner(name, environment, engine)
    if name.layer == "platform":
        declare_platform(plan_platform(environment))
    else:
        declare_cloud(plan_cloud(environment))
