"""Drift of a stack of the CLI's: what its refresh finds, and what the refresh doesn't look at.

The refresh compares the fields that the program sets, as the next ``up`` will do, and all providers
take part. What others added to an object, and who wrote what, is in the live object, which comes
with the refresh as the resource's outputs (``checkpointObject`` and ``pruneLiveState`` in
pulumi-kubernetes' ``provider/pkg/provider``). Objects that others made are looked up.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace

from pulumi.automation.events import StepEventMetadata, StepEventStateMetadata

from moltghost.engines.interface import SECRET_TEXT, Drift, DriftedField, DriftedObject
from moltghost.engines.kubernetes.drift import maker, strangers
from moltghost.engines.kubernetes.managed_fields import additions, writer_of, writers
from moltghost.engines.kubernetes.objects import MANAGER, Object, comparable
from moltghost.engines.kubernetes.recorded import recorded, recorded_uid, with_ignored
from moltghost.engines.pulumi.state import ResourceState, StackState
from moltghost.engines.pulumi.urn import provider_urn
from moltghost.engines.pulumi.values import format_path, plain
from moltghost.engines.stock.checkpoint import FIELD_MANAGER, is_object
from moltghost.engines.stock.steps import by_hand, is_custom, replaces, shown, title_of
from moltghost.kube.client import Client

# They have nothing in a cluster or cloud that could be changed: their refresh only repeats them.
_WITHOUT_OBJECTS = ("pulumi:", "random:")
_CREATOR = "pulumi-kubernetes"  # the field manager under which the provider creates


def find_drift(refreshed: Sequence[StepEventMetadata], state: StackState) -> Drift:
    """How clusters and clouds differ from what a stack applied last. Changes nothing.

    Args:
        refreshed: what a previewed refresh told of each resource when it had looked at it.
        state: the stack as it was applied last.

    Raises:
        Refused: a cluster of the stack can't be asked.
    """
    resources = {each.urn: each for each in state.resources}
    looked_at = [
        each
        for each in refreshed
        if is_custom(each) and not each.type.startswith(_WITHOUT_OBJECTS) and each.urn in resources
    ]
    found = [each for step in looked_at if (each := drifted(step, resources[step.urn]))]
    gone = {each.title for each in found if each.state == "gone"}
    found += _strangers(state, gone)
    return Drift(
        stack=state.stack,
        objects=tuple(sorted(found, key=lambda each: (each.state == "stranger", each.title))),
        checked=len(looked_at),
    )


def drifted(step: StepEventMetadata, resource: ResourceState) -> DriftedObject | None:
    """How a resource differs from what was recorded of it; ``None`` if it doesn't.

    Args:
        step: what the refresh told of it.
        resource: the resource as it was applied last.
    """
    title = title_of(step)
    if step.new is None:
        return DriftedObject(title=title, state="gone")
    # `up` refuses to delete an object in order to make it anew under the same name.
    undone = not (is_object(resource) and replaces(step))
    fields = [
        DriftedField(path=each.path, recorded=each.before, live=each.after, undone=undone)
        for each in by_hand(step)
    ]
    if is_object(resource):
        live = _live(step.new)
        metadata, uid = live["metadata"], recorded_uid(resource)
        if "deletionTimestamp" in metadata:
            return DriftedObject(title=title, state="gone")
        if uid and metadata.get("uid") != uid:
            return DriftedObject(title=title, state="replaced", by=maker(live))
        fields = _with_writers(fields, live, resource)
    return DriftedObject(title=title, state="changed", fields=tuple(fields)) if fields else None


def _with_writers(
    fields: list[DriftedField], live: Object, resource: ResourceState
) -> list[DriftedField]:
    """The fields with who wrote them, and what others added, which the CLI's ``up`` leaves."""
    owners = (live.get(FIELD_MANAGER, MANAGER), _CREATOR)
    by_path = {format_path(path): writer for path, writer in writers(live, owners).items()}
    inputs = plain(with_ignored(resource.inputs, resource.ignore_changes, live))
    known = {each.path for each in fields}
    return [
        *(replace(each, by=str(writer_of(each.path, by_path) or "")) for each in fields),
        *(
            DriftedField(
                path=format_path(each.path),
                recorded=None,
                live=each.value,
                by=str(each.writer),
                undone=False,
            )
            for each in additions(live, comparable(inputs), owners)
            if format_path(each.path) not in known
        ),
    ]


def _live(state: StepEventStateMetadata) -> Object:
    """The object as the cluster has it, without its secrets."""
    live: Object = shown(state.outputs or {})
    if live.get("kind") == "Secret":
        # Its contents are blinded as a whole; which keys there are is recorded with their writers.
        keys = {
            key.removeprefix("f:")
            for entry in live["metadata"].get("managedFields", ())
            for key in entry.get("fieldsV1", {}).get("f:data", {})
        }
        live["data"] = dict.fromkeys(sorted(keys - {"."}), SECRET_TEXT)
    return live


def _strangers(state: StackState, gone: set[str]) -> list[DriftedObject]:
    """Objects that neither the stack nor the cluster's controllers made, in its namespaces."""
    objects = [each for each in state.resources if is_object(each)]
    known = {recorded(each).title for each in objects}
    providers = {each.urn: plain(each.inputs) for each in state.resources}
    found = []
    for each in objects:
        who = recorded(each)
        if who.kind == "Namespace" and who.title not in gone:
            inputs = providers[provider_urn(each.provider)]
            with closing(Client(str(inputs["kubeconfig"]), inputs.get("context"))) as client:
                found += strangers(client, state.stack, who.name)
    return [each for each in found if each.title not in known]
