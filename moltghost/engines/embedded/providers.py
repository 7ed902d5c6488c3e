"""The providers of one run: explicit ones as the program registers them, defaults on demand."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable
from typing import Any

from moltghost.engines.embedded.journal import Journal
from moltghost.engines.embedded.kubernetes.provider import KubernetesProvider
from moltghost.engines.embedded.monitor import Goal
from moltghost.engines.embedded.plan import Detail, Made, Plan, Provider
from moltghost.engines.embedded.random_provider import RandomProvider
from moltghost.engines.interface import Op
from moltghost.engines.kubernetes.cluster import Cluster
from moltghost.engines.pulumi.diff import diff, same
from moltghost.engines.pulumi.state import ResourceState
from moltghost.engines.pulumi.urn import make_urn, name_of, package_of, provider_urn
from moltghost.engines.pulumi.values import UNKNOWN
from moltghost.errors import Failed, Refused

_DEFAULT_NAME = "default"
# A release of a chart is a resource of the Kubernetes provider, which renders it; we render none.
_CHARTS = "kubernetes:helm.sh/"


class Providers:
    """Finds the provider of each resource; called from many threads.

    Args:
        stack: the stack's name.
        project: the project's name.
        clusters: uid of the cluster by provider URN, where the state has objects in it.
        journal: where default providers are recorded.
        on_warning: called with each warning of an API server.
        cancelled: set when the user asks to stop.
    """

    def __init__(
        self,
        stack: str,
        project: str,
        clusters: dict[str, str],
        journal: Journal,
        on_warning: Callable[[str], None],
        cancelled: threading.Event,
    ) -> None:
        self._stack = stack
        self._project = project
        self._clusters = clusters
        self._journal = journal
        self._on_warning = on_warning
        self._cancelled = cancelled
        self._by_urn: dict[str, Provider] = {}
        self._open: list[Cluster] = []
        self._lock = threading.Lock()

    def add(self, urn: str, type_: str, inputs: dict[str, Any]) -> None:
        """Take up a provider resource."""
        provider = self._made(urn, package_of(type_), inputs)
        with self._lock:
            self._by_urn[urn] = provider

    def of(self, type_: str, reference: str) -> Provider:
        """The provider of a resource.

        Args:
            type_: the resource's type.
            reference: its provider reference; empty for the default provider.

        Raises:
            Refused: Kubernetes resources need an explicit provider.
        """
        if type_.startswith(_CHARTS):
            return ForeignProvider()
        with self._lock:
            if provider := self._by_urn.get(provider_urn(reference)):
                return provider
        package = package_of(type_)
        if package == "kubernetes":
            raise Refused(
                "a Kubernetes resource has no provider; the embedded engine doesn't read a "
                "cluster from the process's environment",
                "pass opts=pulumi.ResourceOptions(provider=...) with a "
                "pulumi_kubernetes.Provider, or set it on the component",
            )
        return RandomProvider() if package == "random" else ForeignProvider()

    def of_state(self, resource: ResourceState) -> Provider:
        """The provider of a resource in the state, though the program may no longer have it."""
        urn = provider_urn(resource.provider)
        recorded = self._journal.old(urn) or self._journal.current(urn)
        if recorded and urn not in self._by_urn:
            self.add(urn, recorded.type, recorded.inputs)
        return self.of(resource.type, resource.provider)

    def default_reference(self, package: str) -> str:
        """The reference of a package's default provider, which is recorded if need be."""
        type_ = f"pulumi:providers:{package}"
        urn = make_urn(self._stack, self._project, "", type_, _DEFAULT_NAME)
        with self._lock:
            known = self._journal.current(urn) or self._journal.old(urn)
            resource = known or ResourceState(
                urn=urn, type=type_, custom=True, id=str(uuid.uuid4())
            )
            self._journal.keep(resource)
        return f"{urn}::{resource.id}"

    def kubernetes(self, reference: str) -> KubernetesProvider | None:
        """The Kubernetes provider of a reference, if it is one."""
        provider = self._by_urn.get(provider_urn(reference))
        return provider if isinstance(provider, KubernetesProvider) else None

    def close(self) -> None:
        """Close all connections."""
        for cluster in self._open:
            cluster.close()

    def _made(self, urn: str, package: str, inputs: dict[str, Any]) -> Provider:
        if package == "random":
            return RandomProvider()
        if package != "kubernetes":
            return ForeignProvider()
        cluster = Cluster(
            inputs,
            self._stack.rpartition(".")[2],
            self._clusters.get(urn),
            self._on_warning,
            lambda uid: self._journal.set_cluster(urn, uid),
        )
        self._open.append(cluster)
        return KubernetesProvider(cluster, self._stack, self._cancelled)


class ForeignProvider:
    """Resources that only the stock CLI can make: they are previewed, never applied."""

    remembers_creation = True

    def connect(self) -> None:
        """Nothing to connect to."""

    def plan(
        self, goal: Goal, old: ResourceState | None, *, begun: frozenset[str], check: bool
    ) -> Plan:
        """A plan from the state alone."""
        unchanged = old is not None and same(old.inputs, goal.inputs)
        return Plan(
            op=Op.SAME if unchanged else Op.UPDATE if old else Op.CREATE,
            inputs=goal.inputs,
            id=old.id if old else "",
            outputs={**goal.inputs, **(old.outputs if old else {})},
            diff=diff(old.inputs, goal.inputs) if old else (),
            title=_foreign_title(goal.type, goal.name),
            note="needs the Pulumi CLI",
        )

    def apply(self, goal: Goal, plan: Plan) -> Made:
        """Never: a run with such resources is refused before it begins."""
        raise Failed(
            f"the embedded engine can't make {plan.title}", "use the Pulumi CLI: pulumi up"
        )

    def wait(self, goal: Goal, plan: Plan, made: Made, detail: Detail) -> Made:
        """Never, as ``apply``."""
        return made

    def delete(self, resource: ResourceState, detail: Detail) -> None:
        """Never: such resources are in no state of this engine."""
        raise Failed(
            f"the embedded engine can't delete {self.title(resource)}",
            "use the Pulumi CLI: pulumi up",
        )

    def title(self, resource: ResourceState) -> str:
        """``aws:ec2/vpc:Vpc main``."""
        return _foreign_title(resource.type, name_of(resource.urn))


def is_foreign(provider: Provider) -> bool:
    """Whether only the stock CLI can make this provider's resources."""
    return isinstance(provider, ForeignProvider)


def foreign_answer() -> dict[str, Any]:
    """What a function of a foreign provider answers in a preview: nothing that is known."""
    return {"id": UNKNOWN}


def _foreign_title(type_: str, name: str) -> str:
    return f"{type_} {name}"
