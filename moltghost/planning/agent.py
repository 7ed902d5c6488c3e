"""The plan of one agent: everything that its stack will create, decided from its config."""

from __future__ import annotations

import json
from typing import Literal

from moltghost.config import AgentSpec, EnvironmentConfig, StackName
from moltghost.errors import Refused
from moltghost.labels import MODEL_SERVER, agent_labels, agent_namespace
from moltghost.models.project_models import ProjectModels
from moltghost.planning.aws.agent import AwsAgent, plan_aws_agent
from moltghost.planning.aws.cloud import AwsCloudPlan
from moltghost.planning.base import Plan
from moltghost.planning.cloud import plan_cloud
from moltghost.planning.environment import CloudPlan
from moltghost.planning.images import Images
from moltghost.planning.isolation import IsolationPlan, plan_isolation
from moltghost.planning.model_server import (
    ADVISED_AGENT_CONTEXT,
    ModelServerPlan,
    plan_model_server,
    size_model,
)
from moltghost.planning.platform import (
    PRIORITY_CLASS,
    STORAGE_CLASS,
    PlatformPlan,
    plan_platform,
)
from moltghost.planning.runtime import RuntimePlan, plan_runtime
from moltghost.sizing import Sizing
from moltghost.units import format_context


class AgentPlan(Plan):
    """All decisions for one agent."""

    stack: str
    environment: str
    agent: str
    owner: str
    namespace: str
    labels: dict[str, str]
    sharing: Literal["dedicated", "owner"]
    strategy: Literal["surge", "in-place"]
    rotation: int
    spec: str
    """The config as JSON; the cluster keeps it, so that it can tell what was applied last."""
    images: Images
    sizing: Sizing
    model_server: ModelServerPlan
    runtime: RuntimePlan
    isolation: IsolationPlan
    storage_class: str = STORAGE_CLASS
    priority_class: str = PRIORITY_CLASS
    aws: AwsAgent | None = None
    """Who its model server is to AWS; None elsewhere."""
    simulated: bool
    """Its nodes are simulated: scheduled for real, but no container runs."""
    notes: tuple[str, ...]

    @property
    def on_machine(self) -> bool:
        """It runs on the machine's own node, which Karpenter has no say in."""
        return self.model_server.gpu_count == 0


def plan_agent(stack: StackName, spec: AgentSpec, environment: EnvironmentConfig) -> AgentPlan:
    """Decide everything for one agent.

    Raises:
        Refused: the model is unknown, the context out of range, or no pool of the environment fits.
    """
    cloud, platform = plan_cloud(environment), plan_platform(environment)
    images = cloud.images
    models = environment.models
    sizing = size_model(spec, platform, models)
    server = plan_model_server(
        spec,
        models.find(spec.model),
        sizing,
        platform,
        cloud,
        images,
        moves=spec.moves,
        paused=spec.paused,
    )
    runtime = plan_runtime(stack.agent, server, platform)
    simulated = cloud.simulated_nodes and not (cloud.machine and server.pool == cloud.machine.name)
    before = _plan_previous(spec, models, cloud, platform, images)
    return AgentPlan(
        stack=str(stack),
        environment=stack.environment,
        agent=stack.agent,
        owner=spec.owner,
        namespace=agent_namespace(stack.agent),
        labels=agent_labels(stack.environment, stack.agent, spec.owner),
        sharing=spec.sharing,
        strategy=spec.strategy,
        rotation=spec.token_rotation,
        spec=json.dumps(spec.as_written(), sort_keys=True),
        images=images,
        sizing=sizing,
        model_server=server,
        runtime=runtime,
        isolation=plan_isolation(server, before, runtime, cloud.weights_store),
        aws=_on_aws(stack.agent, spec.owner, cloud, server, before),
        simulated=simulated,
        notes=tuple(_notes(spec, sizing, simulated=simulated)),
    )


def _on_aws(
    agent: str,
    owner: str,
    cloud: CloudPlan,
    server: ModelServerPlan,
    before: ModelServerPlan | None,
) -> AwsAgent | None:
    if not isinstance(cloud, AwsCloudPlan):
        return None
    stores = tuple(each.store_url for each in (server, before) if each)
    return plan_aws_agent(cloud, agent, owner, agent_namespace(agent), MODEL_SERVER, stores)


def _plan_previous(
    spec: AgentSpec,
    models: ProjectModels,
    cloud: CloudPlan,
    platform: PlatformPlan,
    images: Images,
) -> ModelServerPlan | None:
    """What ran before; None where nothing did, or where today's environment has no place for it."""
    if spec.previous is None:
        return None
    choice = models.find(spec.previous.model)  # a misspelled name is refused, not forgotten
    try:
        sizing = size_model(spec.previous, platform, models)
    except Refused:
        return None
    return plan_model_server(spec.previous, choice, sizing, platform, cloud, images)


def _notes(spec: AgentSpec, sizing: Sizing, *, simulated: bool) -> list[str]:
    notes = list(sizing.why)
    if spec.paused:
        notes.append("paused: no pod runs and no node is paid for until moltghost agent resume")
    if spec.context < ADVISED_AGENT_CONTEXT:
        notes.append(
            f"Ollama advises a context of {format_context(ADVISED_AGENT_CONTEXT)} or more for "
            f"agents; this one has {format_context(spec.context)}"
        )
    if simulated:
        notes.append(
            "nodes are simulated: scheduling, scaling and prices are real, but no container runs, "
            "no weights are copied and nothing is charged"
        )
    return notes
