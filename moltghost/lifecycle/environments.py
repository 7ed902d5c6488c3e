"""The life of an environment: its stacks in order, its cluster where that is on this machine."""

from __future__ import annotations

from pathlib import Path

from moltghost.config import EnvironmentConfig, StackName, read_environment
from moltghost.engines.interface import Engine
from moltghost.errors import Refused
from moltghost.kube.client import Client
from moltghost.kube.errors import Forbidden, NoCredentials, Unauthorized, Unreachable
from moltghost.kube.kubeconfig import kubeconfig_path
from moltghost.planning.cloud import plan_cloud


def layer_stacks(environment: str) -> tuple[StackName, StackName]:
    """An environment's two stacks, in the order in which they come up."""
    cloud = StackName.parse(environment).cloud
    return cloud, cloud.platform


def is_embedded(environment: EnvironmentConfig) -> bool:
    """Whether the environment's cluster is the embedded one, which we start and stop."""
    return environment.cloud.provider == "embedded" and environment.cloud.kubeconfig is None


def connect(project: Path, name: str) -> Client:
    """A client for the environment's cluster.

    Raises:
        Refused: the environment is unknown, its cluster isn't there, or it doesn't let us in.
    """
    environment = read_environment(project, name)
    kubeconfig = kubeconfig_path(plan_cloud(environment)).expanduser()
    if not kubeconfig.is_file():
        raise Refused(
            f"the cluster of environment {name} isn't running: {kubeconfig} isn't there",
            f"moltghost up {name}"
            if environment.cloud.provider == "embedded"
            else f"moltghost kubeconfig {name} writes it, once the environment is up",
        )
    client = Client(kubeconfig)
    try:
        client.cluster_uid()
    except NoCredentials as error:
        raise Refused(
            f"the cluster of environment {name} can't be asked: {error.message}", error.hint
        ) from error
    except (Unauthorized, Forbidden) as error:
        raise Refused(
            f"the cluster of environment {name} doesn't let you in: {error.message}",
            f"aws sts get-caller-identity says who you are; admins and deployers of Pulumi.{name}"
            f".yaml are let in, after moltghost up {name}"
            if environment.cloud.provider == "aws"
            else f"check the credentials in {kubeconfig}; it has to let you get namespaces",
        ) from error
    except Unreachable as error:
        raise Refused(
            f"the cluster of environment {name} doesn't answer: {error.message}",
            f"moltghost up {name} starts what isn't running"
            if is_embedded(environment)
            else "is the machine on the network that reaches it?",
        ) from error
    return client


def agent_stacks(engine: Engine, environment: str) -> list[StackName]:
    """The agents' stacks that the engine keeps for an environment."""
    names = (StackName.parse(summary.name) for summary in engine.stacks())
    return [name for name in names if name.layer == "agent" and name.environment == environment]


def refuse_while_agents(engine: Engine, environment: str) -> None:
    """An environment goes only after its agents.

    Raises:
        Refused: agents are still there.
    """
    if agents := agent_stacks(engine, environment):
        names = ", ".join(name.agent for name in agents)
        raise Refused(
            f"environment {environment} still has agents or their data: {names}",
            "moltghost agent destroy NAME --delete-data removes one for good",
        )
