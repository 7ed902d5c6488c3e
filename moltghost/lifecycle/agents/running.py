"""What the cluster has of an agent: the config that it was last applied with."""

from __future__ import annotations

import json

from moltghost.config import AgentSpec, StackName, parse_spec
from moltghost.errors import Refused
from moltghost.kube.agents import AgentStatus, list_agents
from moltghost.kube.client import Client
from moltghost.labels import SPEC_ANNOTATION


def running_agent(client: Client, stack: StackName) -> AgentSpec | None:
    """What the cluster has of an agent (`running_spec`), None if nothing.

    Raises:
        Refused: it can't be read.
    """
    return next((running_spec(each, stack) for each in list_agents(client, stack.agent)), None)


def running_spec(status: AgentStatus, stack: StackName) -> AgentSpec:
    """The config that an agent was last applied with, as the cluster keeps it.

    Raises:
        Refused: it can't be read: another version of MoltGhost wrote it, or a hand.
    """
    place = f"annotation {SPEC_ANNOTATION} of Deployment model-server of agent {stack.agent}"
    try:
        spec = parse_spec(json.loads(status.spec), stack, where="the cluster")
    except (ValueError, Refused) as error:
        why = error.message if isinstance(error, Refused) else f"it isn't JSON: {error}"
        raise Refused(
            f"{place} can't be read, so what runs isn't known; {why}",
            "another version of moltghost wrote it: use that one; or stop the agent and start it "
            f"again, keeping its memory: moltghost agent destroy {stack.agent}, then "
            f"moltghost up {stack}",
        ) from error
    assert isinstance(spec, AgentSpec)  # noqa: S101 the stack's name says so
    return spec
