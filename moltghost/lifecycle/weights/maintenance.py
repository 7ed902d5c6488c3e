"""Model stores that are there: listed with who uses them, verified, removed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from moltghost.config import StackName
from moltghost.environments.environment import Environment
from moltghost.errors import MoltghostError, Refused
from moltghost.kube.agents import AgentStatus, list_agents
from moltghost.lifecycle.agents.running import running_spec
from moltghost.lifecycle.weights import job
from moltghost.planning.agent import plan_agent
from moltghost.progress import Report
from moltghost.store_layout import SOURCES, prefix_of, source_key
from moltghost.weights_store.store import Store, StoreState, list_stores, remove_store
from moltghost.weights_store.verify import Finding, verify_store


@dataclass(frozen=True, kw_only=True)
class Listed:
    """A store and the agents that need it, now or to go back.

    Args:
        store: as the bucket has it.
        used_by: names of agents; None where the cluster couldn't be asked.
    """

    store: Store
    used_by: tuple[str, ...] | None


@dataclass(frozen=True, kw_only=True)
class Verified:
    """A store and what is wrong with it; nothing is where it is good."""

    store: Store
    findings: tuple[Finding, ...]


def list_weights(environment: Environment) -> list[Listed]:
    """Every store of an environment, half-done ones as well.

    Raises:
        Refused: the environment has no store.
        Failed: it can't be read.
    """
    bucket = environment.bucket()
    stores = list_stores(bucket)
    try:
        users = _users(environment)
    except MoltghostError:
        return [Listed(store=store, used_by=None) for store in stores]
    return [Listed(store=store, used_by=users.get(store.prefix, ())) for store in stores]


def verify_weights(environment: Environment, model: str, report: Report) -> list[Verified]:
    """Read stores again, byte by byte.

    Args:
        environment: whose.
        model: only this model's store; empty for all.
        report: told of bytes, rate and ETA.

    Raises:
        Refused: there is no such store.
        Failed: it can't be read.
    """
    bucket = environment.bucket()
    chosen = _chosen(list_stores(bucket), environment, model)
    return [
        Verified(store=store, findings=tuple(verify_store(bucket, store, report)))
        for store in chosen
        # What was never finished promises nothing; nobody reads it.
        if model or store.state is not StoreState.PARTIAL
    ]


def removable(environment: Environment, model: str) -> Store:
    """The store of a model, if nothing needs it.

    Raises:
        Refused: there is none, or agents use it, or whether they do can't be known.
    """
    bucket = environment.bucket()
    [store] = _chosen(list_stores(bucket), environment, model)
    users = _users(environment).get(store.prefix, ())
    if users:
        raise Refused(
            f"the store of {store.name} is used by {', '.join(users)} (what runs, or what it "
            "would go back to)",
            "update the agent to another model twice, or moltghost agent destroy it; a damaged "
            f"store is built anew by moltghost weights add {model} --replace --env "
            f"{environment.name}",
        )
    return store


def remove_weights(environment: Environment, store: Store) -> int:
    """Remove a store that `removable` gave; returns how many objects went.

    Raises:
        Failed: not everything could be removed; what is left is no store.
    """
    return remove_store(environment.bucket(), store.prefix)


def list_sources(environment: Environment) -> dict[str, int]:
    """What stores were built from, or are to be: bytes of each object of the environment's bucket.

    Raises:
        Refused: the environment has no store.
        Failed: it can't be read.
    """
    return environment.bucket().sizes(SOURCES)


def removable_sources(environment: Environment) -> dict[str, int]:
    """As `list_sources`, less what a job builds from right now.

    Raises:
        Refused: the environment has no store, or its cluster can't be asked.
        Failed: one of them can't be read.
    """
    in_use = {source_key(sha256) for sha256 in job.sources_in_use(environment.client)}
    found = list_sources(environment)
    return {key: size for key, size in found.items() if key not in in_use}


def remove_sources(environment: Environment, sources: Iterable[str]) -> int:
    """Remove what `removable_sources` gave; returns how many objects went.

    Raises:
        Failed: not everything could be removed.
    """
    return environment.bucket().delete(list(sources))


def _chosen(stores: Sequence[Store], environment: Environment, model: str) -> list[Store]:
    """The one store that agents of today would read for a model, or all."""
    if not model:
        return list(stores)
    choice = environment.config.models.find(model)
    prefix = prefix_of(environment.cloud.store_url(choice.model.id, choice.quantization))
    found = [store for store in stores if store.prefix == prefix]
    if not found:
        raise Refused(
            f"environment {environment.name} has no store of {choice.model.id} "
            f"{choice.quantization}",
            f"moltghost weights list --env {environment.name} shows what is there; "
            f"moltghost weights add {choice.name} --env {environment.name} builds it",
        )
    return found


def _users(environment: Environment) -> Mapping[str, tuple[str, ...]]:
    """Names of agents by the prefix of each store that they read or would go back to."""
    found: dict[str, list[str]] = {}
    for status in list_agents(environment.client):
        for url in _stores_of(status, environment):
            found.setdefault(prefix_of(url), []).append(status.agent)
    return {prefix: tuple(agents) for prefix, agents in found.items()}


def _stores_of(status: AgentStatus, environment: Environment) -> set[str]:
    cloud, stack = environment.cloud, StackName.of_agent(status.agent, environment.name)
    try:
        spec = running_spec(status, stack)
        if plan_agent(stack, spec, environment.config).simulated:
            return set()  # no container of it runs, so it reads nothing
    except Refused:
        # What can't be read or planned any more may run all the same.
        return {cloud.store_url(status.model, status.quantization)} if status.model else set()
    models = [part.model for part in (spec, spec.previous) if part]
    choices = [environment.config.models.find(model) for model in models]
    return {cloud.store_url(each.model.id, each.quantization) for each in choices}
