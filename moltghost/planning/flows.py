"""Flows of what runs in a cluster beside agents: which pods talk to whom, and to nobody else."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from moltghost.labels import NAMESPACE_NAME_LABEL, WEIGHTS_NAMESPACE
from moltghost.planning.base import Plan
from moltghost.planning.environment import WeightsStore

HTTPS, DNS = 443, 53


class Flow(Plan):
    """A flow between a pod and addresses, or pods of other namespaces."""

    ports: tuple[int, ...]
    protocols: tuple[Literal["TCP", "UDP"], ...] = ("TCP",)
    cidrs: tuple[str, ...] = ()
    pods: dict[str, str] | None = None
    """Labels of pods; an empty mapping is all pods of the namespaces. None: addresses."""
    namespaces: dict[str, str] = Field(default_factory=dict)
    """Labels of namespaces; empty is all."""


class SystemPolicy(Plan):
    """What reaches the pods of one system component, and what they reach. Nothing else does."""

    name: str
    namespace: str
    pods: dict[str, str]
    ingress: tuple[Flow, ...] = ()
    egress: tuple[Flow, ...] = ()


def names() -> Flow:
    """Asking the cluster's DNS."""
    return Flow(
        ports=(DNS,),
        protocols=("UDP", "TCP"),
        pods={"k8s-app": "kube-dns"},
        namespaces={NAMESPACE_NAME_LABEL: "kube-system"},
    )


def local_weights_jobs(store: WeightsStore) -> SystemPolicy:
    """What the jobs reach that build model stores on the machine's own node: the store."""
    return SystemPolicy(
        name="weights-jobs",
        namespace=WEIGHTS_NAMESPACE,
        pods={},
        egress=(names(), Flow(ports=(store.port,), cidrs=store.egress_cidrs)),
    )
