"""The plan of an environment's platform layer: pools and what every agent stands on."""

from __future__ import annotations

from moltghost.config import POOL_NAMES, AwsCloudSpec, EnvironmentConfig, PoolName, PoolSpec
from moltghost.errors import Refused
from moltghost.labels import environment_labels
from moltghost.models import instance_type, instance_types
from moltghost.planning.aws.cloud import AwsCloudPlan
from moltghost.planning.aws.platform import AwsPlatform, plan_aws_platform
from moltghost.planning.base import Plan
from moltghost.planning.cloud import plan_cloud
from moltghost.planning.environment import CloudPlan, Storage
from moltghost.planning.flows import SystemPolicy, local_weights_jobs
from moltghost.planning.karpenter import KarpenterPool, NodeClass, nodes_of
from moltghost.planning.pools import NodesPlan, NodeType, Taint, gpu_labels, gpu_taints, pool_taint
from moltghost.sizing import Pool, build_types, machine_pool, runtime_types
from moltghost.sizing.nodes import allocatable

STORAGE_CLASS = "moltghost"
PRIORITY_CLASS = "moltghost-agent"


class PoolPlan(NodesPlan):
    """One class of nodes, 0 to ``max_nodes`` of them."""

    gpu: str | None
    """The GPU kind, or None for a pool without GPUs."""
    nodes: tuple[NodeType, ...]
    """The types that a node may have."""
    max_nodes: int
    karpenter: KarpenterPool
    """How its nodes are made."""

    @property
    def instance_types(self) -> tuple[str, ...]:
        """Names of the types that a node may have."""
        return tuple(each.name for each in self.nodes)

    @property
    def for_sizing(self) -> Pool:
        """The pool as sizing sees it."""
        return Pool(name=self.name, gpu=self.gpu, instance_types=self.instance_types)


class PlatformPlan(Plan):
    """What runs in the cluster for every agent."""

    environment: str
    labels: dict[str, str]
    pools: tuple[PoolPlan, ...]
    machine: NodesPlan | None
    """The machine's own node, which nobody scales."""
    node_class: NodeClass
    storage: Storage
    storage_class: str = STORAGE_CLASS
    priority_class: str = PRIORITY_CLASS
    weights_jobs: SystemPolicy | None = None
    """Flows of the jobs that build model stores on the machine's own node; None without one, and
    on AWS, where they are among those of all system pods."""
    aws: AwsPlatform | None = None
    """What AWS needs besides; None elsewhere."""

    def pool(self, name: str) -> PoolPlan:
        """The pool of that name.

        Raises:
            Refused: the environment doesn't have it.
        """
        for pool in self.pools:
            if pool.name == name:
                return pool
        raise Refused(
            f"environment {self.environment} has no pool {name!r}",
            f"it has {', '.join(pool.name for pool in self.pools)}; "
            f"add it to Pulumi.platform.{self.environment}.yaml",
        )

    def nodes(self, pool: str) -> NodesPlan:
        """The nodes of a pool, or the machine's own.

        Raises:
            Refused: the environment doesn't have it.
        """
        return self.machine if self.machine and pool == self.machine.name else self.pool(pool)

    @property
    def every_pool(self) -> tuple[NodesPlan, ...]:
        """All nodes that an agent's pods may be planned for."""
        return (*self.pools, *((self.machine,) if self.machine else ()))

    @property
    def for_models(self) -> tuple[Pool, ...]:
        """What can hold a model server, as sizing sees it."""
        gpu_pools = (pool.for_sizing for pool in self.pools if pool.gpu and pool.max_nodes)
        return (*gpu_pools, *((machine_pool(),) if self.machine else ()))


def plan_platform(environment: EnvironmentConfig) -> PlatformPlan:
    """Decide the platform layer of an environment.

    Raises:
        Refused: a pool names an instance type that it can't have.
    """
    cloud = plan_cloud(environment)
    specs = environment.platform.pools
    pools = tuple(
        _plan_pool(name, specs[name], cloud, environment.name)
        for name in POOL_NAMES
        if name in specs
    )
    return PlatformPlan(
        environment=environment.name,
        labels=environment_labels(environment.name),
        pools=pools,
        machine=cloud.machine,
        node_class=cloud.node_class,
        storage=cloud.storage,
        weights_jobs=local_weights_jobs(cloud.weights_store) if cloud.machine else None,
        aws=_on_aws(environment, cloud, pools),
    )


def _on_aws(
    environment: EnvironmentConfig, cloud: CloudPlan, pools: tuple[PoolPlan, ...]
) -> AwsPlatform | None:
    spec = environment.cloud
    if not (isinstance(spec, AwsCloudSpec) and isinstance(cloud, AwsCloudPlan)):
        return None
    return plan_aws_platform(cloud, spec, {pool.name: pool.instance_types for pool in pools})


def _plan_pool(name: PoolName, spec: PoolSpec, cloud: CloudPlan, environment: str) -> PoolPlan:
    offered = _types_here(name, cloud, environment)
    unknown = [kind for kind in spec.instance_types if kind not in offered]
    if unknown:
        raise Refused(
            f"pool {name} of environment {environment} can't have {', '.join(unknown)}",
            f"its types are {', '.join(offered)}",
        )
    gpu = _gpu_of(name)
    return PoolPlan(
        **dict(nodes_of(name, _taints(name, gpu))),
        gpu=gpu,
        nodes=tuple(_node_type(kind) for kind in spec.instance_types or offered),
        max_nodes=spec.max_nodes,
        karpenter=KarpenterPool(
            zones=cloud.zones,
            zone_label=cloud.zone_label,
            labels=gpu_labels() if gpu else {},
            node_class=cloud.node_class_of(name),
        ),
    )


def _node_type(name: str) -> NodeType:
    left = allocatable(instance_type(name))
    return NodeType(
        name=name,
        gpu_count=left.gpus,
        cpu_millis=left.cpu_millis,
        memory_bytes=left.memory_bytes,
        ephemeral_storage_bytes=left.ephemeral_storage_bytes,
    )


def _gpu_of(name: PoolName) -> str | None:
    """A GPU pool is called after its GPU kind."""
    return None if name in ("cpu", "weights") else name


def _offered_types(name: PoolName) -> tuple[str, ...]:
    """Every type of the catalogue that the pool can have and that has a price."""
    if name == "cpu":
        return runtime_types()
    if name == "weights":
        return build_types()
    return tuple(
        kind.type for kind in instance_types().values() if kind.gpu == name and kind.usd_per_hour
    )


def _types_here(name: PoolName, cloud: CloudPlan, environment: str) -> tuple[str, ...]:
    """The pool's types that the region offers in one of the environment's zones.

    Raises:
        Refused: there is none.
    """
    types = _offered_types(name)
    if not cloud.region:
        return types
    known = instance_types()
    regional = [each for each in types if cloud.region in known[each].regions]
    # The catalogue doesn't know the zones of every region; preflight asks EC2 itself.
    zones = {each: known[each].zone_ids.get(cloud.region, cloud.zones) for each in regional}
    here = tuple(each for each in regional if set(zones[each]) & set(cloud.zones))
    if not here:
        elsewhere = sorted({zone for each in regional for zone in zones[each]})
        raise Refused(
            f"pool {name} of environment {environment}: none of its types is offered in "
            f"{', '.join(cloud.zones)} of {cloud.region}",
            f"add one of {', '.join(elsewhere)} to zone_ids in Pulumi.{environment}.yaml"
            if elsewhere
            else f"take the pool out of Pulumi.platform.{environment}.yaml, or move the "
            f"environment to another region",
        )
    return here


def _taints(name: PoolName, gpu: str | None) -> tuple[Taint, ...]:
    if gpu:
        return gpu_taints()
    if name == "weights":
        return (pool_taint(name),)
    return ()
