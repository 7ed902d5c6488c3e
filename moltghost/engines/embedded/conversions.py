"""Goals, plans and states as each other, and as the steps that a reader sees."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from moltghost.engines.embedded.monitor import Goal
from moltghost.engines.embedded.plan import Plan
from moltghost.engines.interface import AnalyzedResource, Op, Step
from moltghost.engines.pulumi.state import ResourceState, StackState
from moltghost.engines.pulumi.urn import is_provider, name_of
from moltghost.engines.pulumi.values import Secret, plain
from moltghost.errors import MoltghostError


@dataclass(frozen=True)
class Failure:
    """One resource that could not be made, or would not be accepted."""

    title: str
    error: MoltghostError


def clusters_in_use(state: StackState) -> dict[str, str]:
    """The clusters in which the state has objects, by provider URN."""
    used = {
        item.provider.rpartition("::")[0]
        for item in state.resources
        if item.custom and not item.external
    }
    return {urn: uid for urn, uid in state.clusters.items() if urn in used}


def delete_step(resource: ResourceState, title: str, note: str = "") -> Step:
    """The deletion of a resource."""
    return Step(
        urn=resource.urn,
        type=resource.type,
        name=name_of(resource.urn),
        op=Op.DELETE,
        title=title,
        custom=resource.custom and not is_provider(resource.type),
        protect=resource.protect,
        note=note,
    )


def with_secret_outputs(outputs: dict[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    """The outputs with those of ``additional_secret_outputs`` marked."""
    marked = {
        key: value if isinstance(value, Secret) else Secret(value)
        for key, value in outputs.items()
        if key in names
    }
    return {**outputs, **marked}


def state_of(goal: Goal, inputs: dict[str, Any], old: ResourceState | None = None) -> ResourceState:
    """The state of a resource as the program wants it, before it has an id and outputs."""
    return ResourceState(
        urn=goal.urn,
        type=goal.type,
        custom=goal.custom,
        inputs=inputs,
        parent=goal.parent,
        provider=goal.provider,
        dependencies=sorted(goal.dependencies),
        property_dependencies={
            key: sorted(urns) for key, urns in goal.property_dependencies.items()
        },
        protect=goal.protect,
        retain_on_delete=goal.retain_on_delete,
        deleted_with=goal.deleted_with,
        additional_secret_outputs=list(goal.additional_secret_outputs),
        ignore_changes=list(goal.ignore_changes),
        custom_timeouts=goal.custom_timeouts,
        created=old.created if old else "",
        modified=old.modified if old else "",
    )


def analyzed(goal: Goal, plan: Plan) -> AnalyzedResource:
    """The resource as policies see it."""
    return AnalyzedResource(
        urn=goal.urn,
        type=goal.type,
        name=goal.name,
        inputs=plain(plan.inputs),
        parent=goal.parent,
        provider=goal.provider,
        protect=goal.protect,
        dependencies=goal.dependencies,
    )
