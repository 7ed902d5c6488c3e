"""An environment on AWS: its account is asked before a change, and what is protected stays."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from moltghost.aws.clients import Clients
from moltghost.aws.cost import EnvironmentCost, environment_cost
from moltghost.aws.leftovers import find_leftovers
from moltghost.aws.preflight import preflight
from moltghost.aws.prices import prices_at_hand
from moltghost.checks import Check
from moltghost.config import AwsCloudSpec, EnvironmentConfig, StackName
from moltghost.engines.interface import UNKNOWN_TEXT, Engine, Protected
from moltghost.environments.aws_request import AwsPlans
from moltghost.environments.environment import Environment, Hints, TakenDown
from moltghost.environments.needs import FleetNodes, RuntimeNeed
from moltghost.errors import Failed, Refused
from moltghost.files import write_private
from moltghost.kube.draining import drain_pools
from moltghost.planning.agent import AgentPlan
from moltghost.planning.aws.cloud import AwsCloudPlan
from moltghost.planning.karpenter import NODE_TERMINATION_GRACE_SECONDS
from moltghost.planning.update import UpdatePlan
from moltghost.progress import Report
from moltghost.store_layout import bucket_name
from moltghost.weights_store.bucket import Bucket, BucketLocation

# After its grace a node still has to detach volumes and end; EC2 takes minutes for large types.
_MARGIN_SECONDS = 900


class AwsEnvironment(Environment):
    """Stacks in an EKS cluster of the customer's account.

    Args:
        project: folder with ``Pulumi.yaml``.
        config: the config of its two layers.
        spec: that of the lower one.
    """

    def __init__(self, project: Path, config: EnvironmentConfig, spec: AwsCloudSpec) -> None:
        super().__init__(project, config)
        self._spec = spec

    @property
    def hints(self) -> Hints:
        """It is reached through the account's IAM and its network."""
        return Hints(
            absent=f"moltghost kubeconfig {self.name} writes it, once the environment is up",
            not_let_in="aws sts get-caller-identity says who you are; admins and deployers of "
            f"Pulumi.{self.name}.yaml are let in, after moltghost up {self.name}",
            unreachable="is the machine on the network that reaches it?",
        )

    def kubeconfig(self, engine: Engine) -> Path:
        """The path of its kubeconfig, written from the cloud stack's output.

        The file holds the cluster's address and certificate and the command that gets a token, no
        credential.

        Raises:
            Refused: the environment isn't up, or another engine keeps its stack.
        """
        stack, path = self.stacks[0], self.kubeconfig_path
        if stack not in _known(engine):
            raise Refused(
                f"stack {stack} isn't up, so its cluster has no kubeconfig",
                f"moltghost up {stack}; or, where the Pulumi CLI has it elsewhere: "
                f"pulumi stack output kubeconfig --stack {stack} > {path}",
            )
        text = engine.outputs(str(stack)).get("kubeconfig")
        if not isinstance(text, str) or text == UNKNOWN_TEXT:
            raise Refused(
                f"stack {stack} has no output kubeconfig: its last up didn't finish",
                f"moltghost up {stack}",
            )
        write_private(path, text, durable=True)
        return path

    def bucket(self) -> Bucket:
        """The bucket that its cloud stack makes."""
        name = bucket_name(self.cloud.weights_store.url)
        return Bucket(BucketLocation(bucket=name, region=self.cloud.region))

    @property
    def jobs_download(self) -> bool:
        """The nodes of a job have a fast way out; this machine's may be a slow one."""
        return True

    def check(self) -> list[Check]:
        """As before it comes up: the account has the answers."""
        return self.check_before_up()

    def check_before_up(self) -> list[Check]:
        """Ask the account for all that its stacks need."""
        return preflight(self._plans.environment_request())

    def check_change(
        self, plan: AgentPlan, update: UpdatePlan, before: AgentPlan | None
    ) -> list[Check]:
        """Ask the account for what an agent's change needs."""
        return preflight(self._plans.agent_request(plan, update, before))

    def check_fleet(
        self,
        plans: Sequence[AgentPlan],
        servers: Sequence[FleetNodes],
        runtimes: RuntimeNeed | None,
    ) -> list[Check]:
        """Ask the account for what all changes of a fleet need together."""
        return preflight(self._plans.fleet_request(plans, servers, runtimes))

    def cost_at_most(self) -> EnvironmentCost:
        """What is there while no agent runs, and with every pool full."""
        request = self._plans.environment_request()
        assert request.holdings is not None  # noqa: S101 every environment on AWS has them
        known = prices_at_hand(request.holdings.instance_types, request.region)
        return environment_cost(request.holdings, known)

    def stack_is_up(self, stack: StackName, engine: Engine) -> None:
        """The cloud stack has made the cluster: keep its kubeconfig."""
        if stack.layer == "cloud":
            self.kubeconfig(engine)

    def require_no_agents(self, engine: Engine) -> None:
        """The cluster is asked too: its agents may be another machine's.

        Raises:
            Refused: agents or their data are there; or the environment isn't this engine's; or
                the cluster can't be asked.
        """
        super().require_no_agents(engine)
        known, (cloud, platform) = _known(engine), self.stacks
        if not known & {cloud, platform}:
            raise Refused(
                f"engine {engine.name} has no stack of environment {self.name}",
                "it was never deployed, or another engine has it: pulumi destroy --stack "
                f"{platform}, after docs/runbooks/aws-remove.md",
            )
        if platform in known:
            self.kubeconfig(engine)
            self._require_no_agents_in_cluster()

    def drain(self, report: Report) -> list[str]:
        """Karpenter has to end its nodes before it goes itself: nobody else would."""
        seconds = NODE_TERMINATION_GRACE_SECONDS + _MARGIN_SECONDS
        nodes = drain_pools(self.client, report, timeout_seconds=seconds)
        return [f"node {each}" for each in nodes]

    @property
    def protected_cloud(self) -> Protected:
        """Keys, weights, and the cluster with what it needs stay."""
        return "keep"

    def end(self) -> TakenDown:
        """No EC2 instance stays; EC2 itself is asked.

        Raises:
            Failed: one is left.
        """
        assert isinstance(self.cloud, AwsCloudPlan)  # noqa: S101 follows from the spec
        scope = self.cloud.scope
        left = find_leftovers(Clients(scope.region), scope.name, scope.tags)
        if left.instances:
            raise Failed(
                f"environment {self.name} has left {len(left.instances)} EC2 instances, which "
                f"cost: {', '.join(left.instances)}",
                f"{left.end_instances}; docs/runbooks/aws-remove.md says what else to look at",
            )
        return TakenDown(
            kept="the cluster's control plane, its network, the keys and the weights stay: they "
            f"are protected. moltghost up {self.name} brings the rest back; "
            "docs/runbooks/aws-remove.md removes them for good",
            notes=left.notes,
        )

    @property
    def _plans(self) -> AwsPlans:
        assert isinstance(self.cloud, AwsCloudPlan)  # noqa: S101 follows from the spec
        return AwsPlans(self._spec, self.cloud, self.platform)


def _known(engine: Engine) -> set[StackName]:
    return {StackName.parse(each.name) for each in engine.stacks()}
