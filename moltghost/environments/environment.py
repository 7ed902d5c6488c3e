"""What an environment is to everything above: its plans, its cluster, its store, up and down.

A class per provider fills in what differs. What a provider can't do is refused with a reason, or
is an answer of its own (no checks, no price); nothing above asks which provider it is.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from moltghost.checks import Check
from moltghost.config import EnvironmentConfig, StackName
from moltghost.engines.interface import Engine, Protected
from moltghost.environments.needs import FleetNodes, RuntimeNeed
from moltghost.environments.pool_checks import check_pools
from moltghost.errors import Refused
from moltghost.kube.client import Client
from moltghost.kube.errors import Forbidden, NoCredentials, Unauthorized, Unreachable
from moltghost.kube.kubeconfig import kubeconfig_path
from moltghost.labels import AGENT_LABEL, ENVIRONMENT_LABEL
from moltghost.planning.agent import AgentPlan
from moltghost.planning.cloud import plan_cloud
from moltghost.planning.environment import CloudPlan
from moltghost.planning.platform import PlatformPlan, plan_platform
from moltghost.planning.update import UpdatePlan
from moltghost.progress import Report

if TYPE_CHECKING:
    from moltghost.aws.cost import EnvironmentCost
    from moltghost.weights_store.bucket import Bucket


@dataclass(frozen=True, kw_only=True)
class Hints:
    """What a person can do about a cluster.

    Attributes:
        absent: there is no kubeconfig.
        not_let_in: it doesn't know us, or doesn't let us read namespaces.
        unreachable: it doesn't answer.
    """

    absent: str
    not_let_in: str
    unreachable: str


@dataclass(frozen=True, kw_only=True)
class TakenDown:
    """What went, what stays, and what a person should still look at."""

    removed: tuple[str, ...] = ()
    kept: str = ""
    notes: tuple[str, ...] = ()


class Environment(ABC):
    """One environment of a project.

    Args:
        project: folder with ``Pulumi.yaml``.
        config: the config of its two layers.
    """

    def __init__(self, project: Path, config: EnvironmentConfig) -> None:
        self.project = project
        self.config = config

    def __getstate__(self) -> dict[str, Any]:
        """What goes to another process: not the open client, which belongs to this one."""
        return {key: value for key, value in vars(self).items() if key != "client"}

    @property
    def name(self) -> str:
        """The environment's name."""
        return self.config.name

    @cached_property
    def cloud(self) -> CloudPlan:
        """The plan of its lower layer.

        Raises:
            Refused: its config asks for what can't be had.
        """
        return plan_cloud(self.config)

    @cached_property
    def platform(self) -> PlatformPlan:
        """The plan of its upper layer.

        Raises:
            Refused: its config asks for what can't be had.
        """
        return plan_platform(self.config)

    @property
    def stacks(self) -> tuple[StackName, StackName]:
        """Its two stacks, in the order in which they come up."""
        cloud = StackName(self.name, "cloud")
        return cloud, cloud.platform

    # Its cluster.

    @property
    @abstractmethod
    def hints(self) -> Hints:
        """What a person can do about its cluster."""

    @property
    def kubeconfig_path(self) -> Path:
        """Where its kubeconfig is, or will be."""
        return kubeconfig_path(self.cloud).expanduser()

    def kubeconfig(self, engine: Engine) -> Path:
        """The path of its kubeconfig, which is there.

        Raises:
            Refused: it isn't.
        """
        self._require_kubeconfig()
        return self.kubeconfig_path

    @cached_property
    def client(self) -> Client:
        """A client for its cluster, opened once.

        Raises:
            Refused: its cluster isn't there, or it doesn't let us in.
        """
        self._require_kubeconfig()
        client = Client(self.kubeconfig_path)
        try:
            client.cluster_uid()
        except NoCredentials as error:
            raise Refused(
                f"the cluster of environment {self.name} can't be asked: {error.message}",
                error.hint,
            ) from error
        except (Unauthorized, Forbidden) as error:
            raise Refused(
                f"the cluster of environment {self.name} doesn't let you in: {error.message}",
                self.hints.not_let_in,
            ) from error
        except Unreachable as error:
            raise Refused(
                f"the cluster of environment {self.name} doesn't answer: {error.message}",
                self.hints.unreachable,
            ) from error
        return client

    def kubectl(self) -> Path | None:
        """The kubectl that comes with its cluster; None where the user's is taken."""
        return None

    # Its weights store.

    @abstractmethod
    def bucket(self) -> Bucket:
        """The bucket of its model stores; nothing is asked of it yet.

        Raises:
            Refused: there is none, or its cluster has never been started.
        """

    def ensure_bucket(self) -> Bucket:
        """The bucket, made first where that is up to this machine.

        Raises:
            Refused: as for `bucket`.
            Failed: the store doesn't answer.
        """
        return self.bucket()

    @property
    def jobs_download(self) -> bool:
        """Whether a weights job's pods fetch a source from the internet themselves."""
        return False

    # What is asked before a change.

    def check(self) -> list[Check]:
        """Whether it can come up as its config says. Changes nothing."""
        return check_pools(self)

    def check_before_up(self) -> list[Check]:
        """What its account says before it comes up; nothing where there is no account to ask."""
        return []

    def check_change(
        self, plan: AgentPlan, update: UpdatePlan, before: AgentPlan | None
    ) -> list[Check]:
        """What its account says of an agent's change; nothing where there is no account to ask.

        Args:
            plan: the agent as it shall be.
            update: what going there does.
            before: the agent as it runs; None for the first deploy.
        """
        return []

    def check_fleet(
        self,
        plans: Sequence[AgentPlan],
        servers: Sequence[FleetNodes],
        runtimes: RuntimeNeed | None,
    ) -> list[Check]:
        """What its account says of a fleet; nothing where there is no account to ask.

        Args:
            plans: the agents as they shall be.
            servers: the nodes of model servers that they need beyond those that run.
            runtimes: the same of their runtimes.
        """
        return []

    def cost_at_most(self) -> EnvironmentCost | None:
        """What it costs idle and full, or None where it costs nothing.

        With the prices that its account's checks asked for within a day, else the catalogue's.
        """
        return None

    # Its way up and down.

    def start(self, report: Report) -> None:  # noqa: B027 a cluster of others runs
        """Start what has to run before its stacks come up.

        Raises:
            Refused: this machine can't.
            Failed: it was tried.
        """

    def require_started(self) -> None:  # noqa: B027
        """Make sure that `start` isn't needed before its stacks can be previewed.

        Raises:
            Refused: it is.
        """

    def stack_is_up(self, stack: StackName, engine: Engine) -> None:  # noqa: B027
        """Take up what one of its stacks has made."""

    def require_no_agents(self, engine: Engine) -> None:
        """Make sure that it has no agents left, also none that another engine deployed.

        Raises:
            Refused: agents or their data are there, or that can't be known.
        """
        if agents := agent_stacks(engine, self.name):
            names = ", ".join(name.agent for name in agents)
            raise Refused(
                f"environment {self.name} still has agents or their data: {names}",
                "moltghost agent destroy NAME --delete-data removes one for good",
            )

    def _require_no_agents_in_cluster(self) -> None:
        labels = {ENVIRONMENT_LABEL: self.name}
        there = [
            each["metadata"]["labels"][AGENT_LABEL]
            for each in self.client.list("v1", "Namespace", labels=labels)
            if AGENT_LABEL in each["metadata"]["labels"]
        ]
        if there:
            raise Refused(
                f"the cluster of environment {self.name} still has agents or their data: "
                f"{', '.join(sorted(there))}",
                "moltghost agent destroy NAME --delete-data removes one for good; one that "
                "another machine or project deployed is destroyed from there",
            )

    def drain(self, report: Report) -> list[str]:
        """Let its nodes go before the platform does; returns the names of those that went."""
        return []

    @property
    def protected_cloud(self) -> Protected:
        """What becomes of protected resources of its cloud stack when it goes down."""
        return "refuse"

    def end(self) -> TakenDown:
        """Remove what its stacks leave behind, and say what stays.

        Raises:
            Failed: something is left that must not be.
        """
        return TakenDown()

    def _require_kubeconfig(self) -> None:
        if not self.kubeconfig_path.is_file():
            raise Refused(
                f"the cluster of environment {self.name} isn't running: "
                f"{self.kubeconfig_path} isn't there",
                self.hints.absent,
            )


def agent_stacks(engine: Engine, environment: str) -> list[StackName]:
    """The agents' stacks that the engine keeps for an environment."""
    names = (StackName.parse(summary.name) for summary in engine.stacks())
    return [name for name in names if name.layer == "agent" and name.environment == environment]
