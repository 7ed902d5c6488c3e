"""The wire contract: labels, annotations, tags and names that writers and readers share.

Components, jobs and the machine's node write them; `moltghost list`, `update` and `destroy`, the
engines and admission read them back. The policy pack imports nothing of ours and has its own copy.
"""

from __future__ import annotations

PREFIX = "moltghost.dev"

# Labels of objects in a cluster; what an environment or an agent has in AWS carries them as tags.
MANAGED_BY_LABEL = "app.kubernetes.io/managed-by"
MANAGED_BY = "moltghost"
NAME_LABEL = "app.kubernetes.io/name"
"""Which of an agent's two pods, or which system component."""
ENVIRONMENT_LABEL = f"{PREFIX}/environment"
AGENT_LABEL = f"{PREFIX}/agent"
OWNER_LABEL = f"{PREFIX}/owner"
SHARING_LABEL = f"{PREFIX}/sharing"
"""Of an agent's namespace: whether it shares nodes with its owner's other agents."""
MOVE_LABEL = f"{PREFIX}/move"
"""Of a model server's pod: how often the agent was moved."""
STORE_LABEL = f"{PREFIX}/store"
"""Of a weights job: which store it builds."""
SYSTEM_LABEL = f"{PREFIX}/system"
"""Of the nodes that system pods run on."""
MONITORING_LABEL = f"{PREFIX}/monitoring"
"""Of namespaces that may scrape GPU metrics."""

# Annotations of an agent's namespace, which admission holds its pods to.
POOLS_ANNOTATION = f"{PREFIX}/pools"
TYPES_ANNOTATION = f"{PREFIX}/instance-types"

# Annotations of a model server: what runs, and what it was planned from.
MODEL_ANNOTATION = f"{PREFIX}/model"
QUANTIZATION_ANNOTATION = f"{PREFIX}/quantization"
CONTEXT_ANNOTATION = f"{PREFIX}/context"
SPEC_ANNOTATION = f"{PREFIX}/spec"
"""The agent's config as it was last applied, as JSON."""
USD_PER_HOUR_ANNOTATION = f"{PREFIX}/usd-per-hour"
NODE_USD_PER_HOUR_ANNOTATION = f"{PREFIX}/node-usd-per-hour"

WEIGHTS_ANNOTATION = f"{PREFIX}/weights"
"""Of a weights job: what it builds, as JSON."""

PROJECT_ANNOTATION = f"{PREFIX}/project"
"""On agents' namespaces: the project that the agent is of."""
ENGINE_ANNOTATION = f"{PREFIX}/engine"
"""Of namespaces: the engine that owns the stack."""
STACK_ANNOTATION = f"{PREFIX}/stack"
"""Which stack made an object."""

STANDS_FOR = f"{PREFIX}/stands-for"
"""Label of an image that is built here in the place of another."""

POOL_TAINT_KEY = f"{PREFIX}/pool"
"""Of nodes that only the pods of one pool are planned for; the value is the pool's name."""
GPU_RESOURCE = "nvidia.com/gpu"
"""The resource that a pod asks for, and the key of the taint of nodes that have it."""
DEPLOYERS_GROUP = f"{PREFIX}:deployers"
"""Kubernetes group of who may deploy agents and nothing else."""
OWNER_GROUP_PREFIX = f"{PREFIX}:owner:"
"""With an owner's name, the group of who may deploy that owner's agents."""

# Tags that AWS has besides.
POOL_TAG = f"{PREFIX}/pool"
TIER_TAG = f"{PREFIX}/tier"
NAMESPACE_TAG = f"{PREFIX}/namespace"

# Words of Kubernetes.
INSTANCE_TYPE_LABEL = "node.kubernetes.io/instance-type"
ZONE_LABEL = "topology.kubernetes.io/zone"
HOSTNAME_LABEL = "kubernetes.io/hostname"
NAMESPACE_NAME_LABEL = "kubernetes.io/metadata.name"

POD_SECURITY_VERSION = "v1.36"
"""Pod Security levels change with Kubernetes; the version pins what was tested."""

AGENT_NAMESPACE_PREFIX = "agent-"
# Names of an agent's objects: each is a Deployment, a Service and a service account.
MODEL_SERVER = "model-server"
RUNTIME = "runtime"

# Containers of a model server's pod, in the order in which they start, and of the runtime's.
WEIGHTS_CONTAINER = "weights"
OLLAMA_CONTAINER = "ollama"
LOADER_CONTAINER = "loader"
GATE_CONTAINER = "gate"
OPENCLAW_CONTAINER = "openclaw"
BUILD_CONTAINER = "build"
"""Of a weights job; its log says the stages."""

# Where the jobs that fill the weights store run, and as whom.
WEIGHTS_NAMESPACE = "moltghost-weights"
WEIGHTS_ACCOUNT = "weights-builder"
SYSTEM_NAMESPACE = "moltghost-system"

TOKEN_KEY = "token"  # noqa: S105 the name of a key, not a secret
"""Key of an agent's Secrets."""
GATEWAY_TOKEN_VARIABLE = "OPENCLAW_GATEWAY_TOKEN"  # noqa: S105 a name
"""Variable of the runtime's container that names the Secret of its gateway's token."""


def environment_labels(environment: str) -> dict[str, str]:
    """Labels of everything that an environment's platform creates, and tags of all in its cloud."""
    return {MANAGED_BY_LABEL: MANAGED_BY, ENVIRONMENT_LABEL: environment}


def agent_labels(environment: str, agent: str, owner: str) -> dict[str, str]:
    """Labels of everything that one agent has."""
    return {**environment_labels(environment), AGENT_LABEL: agent, OWNER_LABEL: owner}


def owner_group(owner: str) -> str:
    """Kubernetes group of who may deploy an owner's agents, and read their secrets and logs."""
    return f"{OWNER_GROUP_PREFIX}{owner}"


def selector(name: str, agent: str) -> dict[str, str]:
    """Labels that select one of an agent's two pods; they never change."""
    return {NAME_LABEL: name, AGENT_LABEL: agent}


def agent_namespace(agent: str) -> str:
    """The namespace of an agent; scripts rely on this name."""
    return f"{AGENT_NAMESPACE_PREFIX}{agent}"
