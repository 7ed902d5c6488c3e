"""What it may cost: per machine, and per month at most."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any

from .instances import HOURS_PER_MONTH, NODE_POOL, instance_types, node_sources, types_of
from .nodes import LAUNCH_TEMPLATE, NODE_GROUP
from .pods import GPU, PODS, Pod, has_pods, pods_of
from .reading import get, is_true, mapping, quantity
from .rule import HIGH, Config, rule, stack_rule, texts
from .subject import Subject

_TYPE_LABEL = "node.kubernetes.io/instance-type"
_PRICE_FACT = "moltghost.dev/node-usd-per-hour"
# Karpenter's KWOK provider: its nodes are objects without a machine, and cost nothing.
_SIMULATED = "KWOKNodeClass"
_QUOTA = "kubernetes:core/v1:ResourceQuota"
_AUTOSCALER = "kubernetes:autoscaling/v1:HorizontalPodAutoscaler"
_JOB, _CRON_JOB = "kubernetes:batch/v1:Job", "kubernetes:batch/v1:CronJob"
_STORAGE_CLASS = "kubernetes:storage.k8s.io/v1:StorageClass"
_COUNTS = {
    NODE_POOL: "spec.limits.nodes",
    NODE_GROUP: "scalingConfig.maxSize",
    _JOB: "spec.parallelism",
    _CRON_JOB: "spec.jobTemplate.spec.parallelism",
    _AUTOSCALER: "spec.maxReplicas",
}
# Karpenter ends these pods elsewhere: a model server loads for minutes.
_MOVES_PODS = ("WhenEmptyOrUnderutilized", "WhenUnderutilized")
_NODES = (NODE_GROUP, NODE_POOL, LAUNCH_TEMPLATE)


def _number(default: int, description: str) -> dict[str, Any]:
    return {"type": "number", "default": default, "description": description}


@rule(
    why="A wrong size of one instance type is 30,000 USD a month.",
    fix="choose a smaller type, or raise maxUsdPerHour in the rule's config",
    severity=HIGH,
    types=(*_NODES, *PODS),
    schema={
        "maxUsdPerHour": {
            "type": "number",
            "default": 60,
            "description": "On-demand price of one machine, USD an hour.",
        },
        "free": texts([], "Types that cost nothing, such as a machine of one's own."),
    },
)
def node_price_ceiling(subject: Subject, config: Config) -> Iterator[str]:
    """No machine costs more an hour than agreed."""
    limit = Decimal(str(config["maxUsdPerHour"]))
    for kind in _machines(subject):
        price = Decimal(0) if kind in config["free"] else _price(kind)
        if price is None:
            yield f"the price of {kind} is not known, so it may be above the ceiling"
        elif price > limit:
            yield f"{kind} costs {price} USD/h, and the ceiling is {limit}"
    for pod in pods_of(subject):
        facts, named = mapping(pod.metadata, "annotations"), _machine(pod)
        said = quantity(facts[_PRICE_FACT]) if _PRICE_FACT in facts else None
        price = _price(named) if named else None
        if said is not None and price is not None and said != price:
            yield f"it says that its node costs {said} USD/h, but {named} costs {price}"


def _machines(subject: Subject) -> tuple[str, ...]:
    if subject.type in _NODES:
        return types_of(subject)
    return tuple(filter(None, map(_machine, pods_of(subject))))


def _machine(pod: Pod) -> str:
    """The instance type that a pod selects; empty if it selects none."""
    return str(mapping(pod.spec, "nodeSelector").get(_TYPE_LABEL, ""))


def _price(kind: str) -> Decimal | None:
    known = instance_types().get(kind)
    return known.usd_per_hour if known else None


@stack_rule(
    why="It is the bill in the worst case, said before it is made.",
    fix="lower max_nodes or choose smaller types, or raise maxUsdPerMonth in the rule's config",
    severity=HIGH,
    types=(NODE_GROUP, NODE_POOL, *PODS),
    schema={
        "maxUsdPerMonth": {
            "type": "number",
            "default": 50000,
            "description": "On-demand price of all machines that a stack may make, USD a "
            "month of 730 hours.",
        }
    },
)
def monthly_ceiling(subjects: Sequence[Subject], config: Config) -> Iterator[tuple[Subject, str]]:
    """A stack can't cost more a month than agreed, even if all its nodes run."""
    # Agents' stacks pay for the nodes that they select; platforms for all that pools may make.
    ceiling = Decimal(str(config["maxUsdPerMonth"]))
    pods = [each for each in subjects if each.type not in _NODES and has_pods(each)]
    bill = [(each, _most_per_month(each)) for each in (*node_sources(subjects), *pods)]
    total = sum((cost for _, cost in bill), Decimal(0))
    if bill and total > ceiling:
        dearest = max(bill, key=lambda entry: entry[1])[0]
        yield (
            dearest,
            f"its stack may cost {total:,.0f} USD a month, and the ceiling is {ceiling:,.0f}",
        )


def _most_per_month(subject: Subject) -> Decimal:
    if get(subject.props, "spec.template.spec.nodeClassRef.kind") == _SIMULATED:
        return Decimal(0)
    dearest = max((_price(kind) or Decimal(0) for kind in _machines(subject)), default=Decimal(0))
    return dearest * _count(subject) * HOURS_PER_MONTH if dearest else Decimal(0)


def _count(subject: Subject) -> Decimal:
    found = get(subject.props, _COUNTS.get(subject.type, "spec.replicas"), 1)
    return quantity(found) or Decimal(0)


@rule(
    why="A loop that makes pods, or an autoscaler, buys machines until the account's quota ends.",
    fix="bound it within the rule's numbers: limits.nodes, parallelism, maxReplicas, the quota",
    severity=HIGH,
    types=(NODE_POOL, _QUOTA, _AUTOSCALER, _JOB, _CRON_JOB),
    schema={
        "maxPoolNodes": _number(40, "Nodes that one pool may have, with GPUs or without."),
        "maxQuotaGpus": _number(32, "GPUs that the quota of one namespace may allow."),
        "maxQuotaPods": _number(200, "Pods that the quota of one namespace may allow."),
        "maxParallel": _number(16, "Pods of a Job, or replicas of an autoscaler, at once."),
    },
)
def growth_bounded(subject: Subject, config: Config) -> Iterator[str]:
    """What grows by itself has an end: pools, quotas, Jobs, autoscalers."""
    if subject.type == NODE_POOL:
        most = quantity(get(subject.props, "spec.limits.nodes", ""))
        if most is None:
            yield "nothing bounds how many nodes it makes"
        elif most > config["maxPoolNodes"]:
            yield f"it may make {most:.0f} nodes, and {config['maxPoolNodes']:g} are allowed"
        if get(subject.props, "spec.disruption.consolidationPolicy") in _MOVES_PODS:
            yield "it moves running pods to save money (consolidationPolicy)"
    elif subject.type == _QUOTA:
        hard = mapping(subject.props, "spec.hard")
        for key, limit in ((f"requests.{GPU}", "maxQuotaGpus"), ("pods", "maxQuotaPods")):
            if (quantity(hard.get(key, 0)) or 0) > config[limit]:
                yield f"it allows {hard[key]} of {key}, and {config[limit]:g} are enough"
    else:
        most = quantity(get(subject.props, _COUNTS[subject.type], 1)) or Decimal(0)
        if most > config["maxParallel"]:
            yield f"it may run {most:.0f} pods at once, and {config['maxParallel']:g} are allowed"


@rule(
    why="What agents remember lies on the class's volumes.",
    fix='set the parameter encrypted to "true"',
    severity=HIGH,
    types=(_STORAGE_CLASS,),
    sources=("CKV_AWS_3",),
)
def storage_class_encrypted(storage: Subject, _config: Config) -> Iterator[str]:
    """Volumes that a StorageClass makes in AWS are encrypted."""
    encrypted = mapping(storage.props, "parameters").get("encrypted")
    if get(storage.props, "provisioner") == "ebs.csi.aws.com" and not is_true(encrypted):
        yield "its volumes are not encrypted"
