"""The plan of an environment's platform layer: pools and what every agent stands on."""

from __future__ import annotations

from moltghost.config import POOL_NAMES, AwsCloudSpec, Environment, PoolName, PoolSpec
from moltghost.errors import Refused
from moltghost.labels import environment_labels
from moltghost.models import instance_types
from moltghost.planning.aws.cloud import AwsCloudPlan
from moltghost.planning.aws.platform import AwsPlatform, plan_aws_platform
from moltghost.planning.base import Plan
from moltghost.planning.cloud import plan_cloud
from moltghost.planning.cloud_base import CloudPlan, MachineNode, NodeClass, Storage
from moltghost.planning.flows import SystemPolicy, local_weights_jobs
from moltghost.planning.pools import Taint, gpu_labels, gpu_taints, pool_taint
from moltghost.sizing import Pool, build_types, machine_pool, runtime_types

STORAGE_CLASS = "moltghost"
PRIORITY_CLASS = "moltghost-agent"

# A node that is drained must outlast the longest thing on it: a stream of 10 minutes with the
# gate's margin, or OpenClaw's own shutdown budget of 345 s.
NODE_TERMINATION_GRACE_SECONDS = 1800
# An emptied GPU node is given back soon after, but not between two steps of one update.
CONSOLIDATE_AFTER_SECONDS = 60


class PoolPlan(Plan):
    """One class of nodes, scaled 0..max_nodes by Karpenter; a NodePool in every environment."""

    name: PoolName
    gpu: str | None
    """The GPU kind, or None for a pool without GPUs."""
    instance_types: tuple[str, ...]
    zones: tuple[str, ...]
    zone_label: str
    architecture: str = "amd64"
    capacity_types: tuple[str, ...] = ("reserved", "on-demand")
    """In order of preference; Karpenter takes reserved capacity first."""
    max_nodes: int
    labels: dict[str, str]
    taints: tuple[Taint, ...]
    consolidate_after_seconds: int = CONSOLIDATE_AFTER_SECONDS
    termination_grace_seconds: int = NODE_TERMINATION_GRACE_SECONDS
    node_class: NodeClass

    @property
    def for_sizing(self) -> Pool:
        """The pool as sizing sees it."""
        return Pool(name=self.name, gpu=self.gpu, instance_types=self.instance_types)


class PlatformPlan(Plan):
    """What runs in the cluster for every agent."""

    environment: str
    labels: dict[str, str]
    pools: tuple[PoolPlan, ...]
    machine: MachineNode | None
    """The machine's own node, which is no pool of Karpenter's."""
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

    def taints_of(self, name: str) -> tuple[Taint, ...]:
        """What a pod has to tolerate to land in a pool, or on the machine's own node.

        Raises:
            Refused: the environment doesn't have it.
        """
        if self.machine and name == self.machine.pool:
            return self.machine.taints
        return self.pool(name).taints

    @property
    def for_models(self) -> tuple[Pool, ...]:
        """What can hold a model server, as sizing sees it."""
        gpu_pools = (pool.for_sizing for pool in self.pools if pool.gpu and pool.max_nodes)
        return (*gpu_pools, *((machine_pool(),) if self.machine else ()))


def plan_platform(environment: Environment) -> PlatformPlan:
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
    environment: Environment, cloud: CloudPlan, pools: tuple[PoolPlan, ...]
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
        name=name,
        gpu=gpu,
        instance_types=spec.instance_types or offered,
        zones=cloud.zones,
        zone_label=cloud.zone_label,
        max_nodes=spec.max_nodes,
        labels=gpu_labels() if gpu else {},
        taints=_taints(name, gpu),
        node_class=cloud.node_class_of(name),
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
            f"pool {name} of environment {environment}: none of its types is on offer in "
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
