"""The plan of an agent's model server: Ollama with its GPUs, its weights and its gate."""

from __future__ import annotations

from moltghost.config import ModelSpec
from moltghost.errors import Refused
from moltghost.labels import GPU_RESOURCE
from moltghost.models import ModelChoice
from moltghost.models.project_models import ProjectModels
from moltghost.planning.base import Plan
from moltghost.planning.environment import CloudPlan
from moltghost.planning.images import Images
from moltghost.planning.platform import PlatformPlan
from moltghost.planning.pools import Scheduling
from moltghost.sizing import Sizing, SizingRequest, size
from moltghost.units import MIB, format_context

# OpenClaw refuses to work with less (openclaw/openclaw#68344).
MIN_AGENT_CONTEXT = 16_000
# Ollama's page for OpenClaw advises at least this many (ollama docs/integrations/openclaw.mdx).
ADVISED_AGENT_CONTEXT = 65_536

# The runtime addresses the model by this name whatever it is, so an update of the model doesn't
# restart the runtime.
MODEL_ALIAS = "moltghost/agent:current"

GATE_PORT = 11434
GATE_METRICS_PORT = 9180
OLLAMA_PORT = 11435
LOADER_PORT = 11436

# Endpoints take seconds to leave every node's proxy after a pod starts to terminate; the gate
# keeps serving for that long, then finishes its streams.
ENDPOINT_PROPAGATION_SECONDS = 15
# OpenClaw's provider timeout, and so the longest stream that the gate has to finish.
LONGEST_STREAM_SECONDS = 600
TERMINATION_MARGIN_SECONDS = 30

# From nothing to a running node with images: EC2 launch, boot, device plugin, image pull.
NODE_READY_SECONDS = 900
# The store may be a third as fast as assumed before a rollout counts as failed.
_COPY_SAFETY = 3


class Share(Plan):
    """What one container requests; its limits are equal, so its QoS is guaranteed."""

    cpu_millis: int
    memory_bytes: int
    ephemeral_bytes: int


LOADER_SHARE = Share(cpu_millis=100, memory_bytes=128 * MIB, ephemeral_bytes=64 * MIB)
GATE_SHARE = Share(cpu_millis=250, memory_bytes=256 * MIB, ephemeral_bytes=64 * MIB)


class ModelServerPlan(Plan):
    """Everything that decides the pod with Ollama."""

    replicas: int
    """1, or 0 while the agent is paused."""
    moves: int
    """How often the agent was moved; pods of different numbers share no node."""
    fresh_node: bool
    """A move goes to another node; False where there is only one."""
    model: str
    quantization: str
    source: str
    """What the model store was built from: an Ollama library tag, or a model hub's repository."""
    alias: str = MODEL_ALIAS
    context: int
    parallel: int
    kv_cache: str
    batch: int
    spread: bool
    """Several GPUs: Ollama has to be told to use them all."""
    supports_tools: bool
    supports_vision: bool
    """The model understands images."""
    max_tokens: int
    """Longest answer in tokens: a quarter of the context, 8192 at most."""
    gpu_count: int
    instance_type: str
    pool: str
    scheduling: Scheduling
    dedicated: bool
    ollama_share: Share
    loader_share: Share = LOADER_SHARE
    gate_share: Share = GATE_SHARE
    load_seconds: int
    """Expected time from the disk to the GPU."""
    startup_budget_seconds: int
    """After which a model that isn't proven counts as failed."""
    rollout_budget_seconds: int
    """After which a rollout that isn't ready counts as failed: node, images, copy and load."""
    drain_seconds: int = ENDPOINT_PROPAGATION_SECONDS
    longest_stream_seconds: int = LONGEST_STREAM_SECONDS
    termination_grace_seconds: int = (
        ENDPOINT_PROPAGATION_SECONDS + LONGEST_STREAM_SECONDS + TERMINATION_MARGIN_SECONDS
    )
    store_url: str
    store_endpoint: str

    @property
    def extended_resources(self) -> dict[str, str]:
        """GPUs, as Kubernetes counts them; nothing for a model on the CPU."""
        return {GPU_RESOURCE: str(self.gpu_count)} if self.gpu_count else {}

    @property
    def shares(self) -> tuple[Share, Share, Share]:
        """What the pod requests, container by container."""
        return self.ollama_share, self.loader_share, self.gate_share

    @property
    def weights_bytes(self) -> int:
        """Limit of the volume with the weights, which Ollama's share pays for."""
        return self.ollama_share.ephemeral_bytes


def size_model(spec: ModelSpec, platform: PlatformPlan, models: ProjectModels) -> Sizing:
    """Size what the spec asks for, among the environment's pools.

    Args:
        spec: the model and how it is served.
        platform: the environment's pools.
        models: those that the spec may name.

    Raises:
        Refused: unknown model, context too long or too short, or no pool fits.
    """
    if spec.context < MIN_AGENT_CONTEXT:
        raise Refused(
            f"context {format_context(spec.context)} is too short for an agent",
            _longer_context(spec, models),
        )
    return size(
        SizingRequest(
            model=spec.model,
            context=spec.context,
            parallel=spec.parallel,
            kv_cache=spec.kv_cache,
            gpu=spec.gpu,
            memory_gb=spec.memory,
            dedicated=spec.sharing == "dedicated",
            min_context=MIN_AGENT_CONTEXT,
        ),
        platform.for_models,
        choice=models.find(spec.model),
    )


def _longer_context(spec: ModelSpec, models: ProjectModels) -> str:
    """What to do about a context that is too short for OpenClaw."""
    needs = f"OpenClaw needs at least {MIN_AGENT_CONTEXT} tokens"
    longest = models.find(spec.model).model.max_context
    if longest < MIN_AGENT_CONTEXT:
        return f"{needs} and {spec.model} has {longest} at most: take a model of `moltghost models`"
    return f"{needs}; use 32k"


def plan_model_server(
    spec: ModelSpec,
    choice: ModelChoice,
    sizing: Sizing,
    platform: PlatformPlan,
    cloud: CloudPlan,
    images: Images,
    *,
    moves: int = 0,
    paused: bool = False,
) -> ModelServerPlan:
    """Decide the model server's pod from what its model was sized to."""
    placement, resources = sizing.placement, sizing.resources
    load = sizing.load
    return ModelServerPlan(
        replicas=0 if paused else 1,
        moves=moves,
        fresh_node=placement.gpu_count > 0,
        model=sizing.model,
        quantization=sizing.quantization,
        source=_source(choice),
        context=spec.context,
        parallel=spec.parallel,
        kv_cache=spec.kv_cache,
        batch=sizing.batch,
        spread=placement.gpu_count > 1,
        supports_tools=choice.model.tools,
        supports_vision=choice.model.vision,
        max_tokens=min(8192, spec.context // 4),
        gpu_count=placement.gpu_count,
        instance_type=placement.instance_type,
        pool=placement.pool,
        scheduling=platform.nodes(placement.pool).scheduling(placement.instance_type),
        dedicated=spec.sharing == "dedicated",
        ollama_share=Share(
            cpu_millis=(
                round(1000 * resources.cpu) - LOADER_SHARE.cpu_millis - GATE_SHARE.cpu_millis
            ),
            memory_bytes=(
                resources.memory_bytes - LOADER_SHARE.memory_bytes - GATE_SHARE.memory_bytes
            ),
            ephemeral_bytes=(
                resources.ephemeral_storage_bytes
                - LOADER_SHARE.ephemeral_bytes
                - GATE_SHARE.ephemeral_bytes
            ),
        ),
        load_seconds=load.load_seconds,
        startup_budget_seconds=load.startup_budget_seconds,
        rollout_budget_seconds=(
            NODE_READY_SECONDS
            + _COPY_SAFETY * (load.download_seconds + load.verify_seconds)
            + load.startup_budget_seconds
        ),
        store_url=cloud.store_url(sizing.model, sizing.quantization),
        store_endpoint=cloud.weights_store.endpoint,
    )


def _source(choice: ModelChoice) -> str:
    file = choice.file
    if file.source:
        return choice.model.sources[0]
    return f"ollama:{file.ollama_tag}" if file.in_library else f"hf:{choice.model.hf_repo}"
