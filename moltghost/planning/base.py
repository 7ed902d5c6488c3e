"""What all plans share."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

MANAGED_BY = "moltghost"
LABEL_PREFIX = "moltghost.dev"
MODEL_SERVER = "model-server"
"""Deployment, Service and service account of an agent's model server."""


class Plan(BaseModel):
    """A frozen set of decisions."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def environment_labels(environment: str) -> dict[str, str]:
    """Labels of everything that an environment's platform creates."""
    return {
        "app.kubernetes.io/managed-by": MANAGED_BY,
        f"{LABEL_PREFIX}/environment": environment,
    }


def agent_labels(environment: str, agent: str, owner: str) -> dict[str, str]:
    """Labels of everything that one agent has."""
    return {
        **environment_labels(environment),
        f"{LABEL_PREFIX}/agent": agent,
        f"{LABEL_PREFIX}/owner": owner,
    }


def agent_namespace(agent: str) -> str:
    """The namespace of an agent; scripts rely on this name."""
    return f"agent-{agent}"
