"""The program of every stack; its config says which kind of stack it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pulumi

from moltghost.config import NAMESPACE, AgentSpec, StackName, parse_spec, read_environment
from moltghost.errors import MoltghostError
from moltghost.infra.agent import declare_agent
from moltghost.infra.cloud import declare_cloud
from moltghost.infra.layers import project as running_project
from moltghost.infra.owner import require_owner
from moltghost.infra.platform import declare_platform
from moltghost.ownership import EngineName, running_engine
from moltghost.planning.agent import plan_agent
from moltghost.planning.cloud import plan_cloud
from moltghost.planning.platform import plan_platform
from moltghost.project import require_environments


def run(project: Path) -> None:
    """Declare the stack that is running; all that a project's ``__main__.py`` has to call.

    Args:
        project: folder with ``Pulumi.yaml``.

    Raises:
        MoltghostError: under the embedded engine.
        pulumi.RunError: the same under the CLI, which shows this one without its traceback.
    """
    engine = running_engine()
    spec = pulumi.Config(NAMESPACE).require_object("spec")
    try:
        declare(project, pulumi.get_stack(), spec, engine)
    except MoltghostError as error:
        if engine == "embedded":
            raise
        raise pulumi.RunError(str(error)) from error


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
    if name.layer != "agent":
        require_environments(running_project(), f"stack {name}")
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
