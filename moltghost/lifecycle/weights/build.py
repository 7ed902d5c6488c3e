"""A model store from a source: fetched, checked, uploaded, built, and looked at again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from moltghost import paths
from moltghost.environments.environment import Environment
from moltghost.errors import Failed, Refused
from moltghost.kube.client import Client
from moltghost.kube.pools import require_node, require_room_on_node
from moltghost.lifecycle.weights import job
from moltghost.lifecycle.weights.fetch import fetch
from moltghost.lifecycle.weights.source import Request, choose, locate, require_match
from moltghost.locks import held
from moltghost.models.facts import Download
from moltghost.models.names import ModelChoice
from moltghost.planning.weights import (
    Source,
    WeightsJobPlan,
    plan_weights_job,
)
from moltghost.progress import Event, Report
from moltghost.store_layout import source_url
from moltghost.weights_store.bucket import Bucket
from moltghost.weights_store.sources import hash_file, upload_source
from moltghost.weights_store.store import Store, StoreState, read_store, remove_store, store_at


@dataclass(frozen=True, kw_only=True)
class Added:
    """What `add` ended with.

    Args:
        store: which is complete.
        built: False where it was there already.
        joined: another command had begun the job.
    """

    store: Store
    built: bool
    joined: bool = False


def add(environment: Environment, request: Request, report: Report) -> Added:
    """Make sure that an environment has a model's store; an existing good one is left alone.

    Args:
        environment: which.
        request: what to build, and of what.
        report: told of every stage.

    Raises:
        Refused: nothing has changed: no such model, no source, no node, a source that is
            something else, a store that is damaged or being built.
        Failed: it was tried; what was uploaded is kept, and no half store can be read.
    """
    name, choice = environment.name, choose(request, environment.config.models)
    bucket = environment.ensure_bucket()
    url = environment.cloud.store_url(choice.model.id, choice.quantization)
    store = store_at(bucket, url)
    if not request.replace:
        if store.state is StoreState.COMPLETE:
            return Added(store=store, built=False)
        _refuse_damaged(store, name)
    place = locate(request, choice)
    client = environment.client
    # Planned with what is known before anything is fetched: without a node nothing needs to be.
    planned = plan_weights_job(
        environment.config, choice, _unknown(choice), quantize=bool(request.quantize)
    )
    _require_room(client, environment, planned)
    lock = paths.state_home() / "locks" / f"weights-{name}-{choice.name}.lock"
    with held(lock, f"the store of {store.name} in {name}", "weights add"):
        source = _source(environment, bucket, choice, request, place, report)
        if not request.replace and (now := store_at(bucket, url)).state is StoreState.COMPLETE:
            return Added(store=now, built=False)  # another machine was faster
        plan = plan_weights_job(environment.config, choice, source, quantize=bool(request.quantize))
        make_room = partial(_make_room, bucket, store) if request.replace else None
        joined = _build(client, plan, bucket, make_room, report)
    built = store_at(bucket, url)
    if built.state is not StoreState.COMPLETE:
        raise Failed(
            f"the job ended, and the store of {store.name} is {built.state}"
            + "".join(f"\n  {problem}" for problem in built.problems),
            f"moltghost weights add {choice.name} --replace --env {name} rebuilds it",
        )
    return Added(store=built, built=True, joined=joined)


def _require_room(client: Client, environment: Environment, plan: WeightsJobPlan) -> None:
    """On this machine, whose node may not be there or be full; elsewhere Karpenter makes a node."""
    machine = environment.cloud.machine
    if machine is None:
        return
    node = require_node(client, machine.name, environment=environment.name)
    shares = (plan.ollama_share, plan.builder_share)
    require_room_on_node(
        client,
        node,
        cpu_millis=sum(share.cpu_millis for share in shares),
        memory_bytes=sum(share.memory_bytes for share in shares),
        purpose="the job that builds a model store",
    )


def _refuse_damaged(store: Store, environment: str) -> None:
    if store.state is StoreState.DAMAGED:
        found = "\n".join(f"  {problem}" for problem in store.problems)
        raise Refused(
            f"the store of {store.name} is damaged:\n{found}",
            f"moltghost weights add {store.model}-{store.quantization} --replace "
            f"--env {environment} rebuilds it",
        )


def _unknown(choice: ModelChoice) -> Source:
    return Source(url="", sha256="", name="", licence=choice.model.licence)


def _source(
    environment: Environment,
    bucket: Bucket,
    choice: ModelChoice,
    request: Request,
    place: Path | Download,
    report: Report,
) -> Source:
    """The source as the job takes it: in the bucket, or where its own node fetches it."""
    licence = choice.model.licence
    if isinstance(place, Download) and place.url and environment.jobs_download:
        return Source(url=place.url, sha256=place.sha256, name=place.url, licence=licence)
    if isinstance(place, Download):
        file, sha256, name = fetch(place, report), place.sha256, place.name
    else:
        require_match(place, request, choice)
        file, sha256, name = place, hash_file(place, report), f"file:{place.name}"
        _require_digest(request, place, sha256)
    require_match(file, request, choice)
    upload_source(bucket, file, sha256, report, anew=request.replace)
    return Source(
        url=source_url(environment.cloud.weights_store.url, sha256),
        sha256=sha256,
        size_bytes=file.stat().st_size,
        name=name,
        licence=licence,
    )


def _require_digest(request: Request, file: Path, sha256: str) -> None:
    if request.sha256 and request.sha256 != sha256:
        raise Refused(
            f"the sha256 of {file} is {sha256}, not {request.sha256}",
            "give the file that you mean, or leave --sha256 away",
        )


def _make_room(bucket: Bucket, store: Store, joined: bool) -> None:
    """Remove the store that is replaced; what a job that runs has uploaded since is left to it."""
    if not joined:
        remove_store(bucket, store.prefix)
    elif read_store(bucket, store.prefix).has_record:
        raise Refused(
            f"the store of {store.name} is there, and a job that was begun before still runs",
            "wait until it has ended, then run the same command again",
        )


def _build(
    client: Client,
    plan: WeightsJobPlan,
    bucket: Bucket,
    make_room: Callable[[bool], None] | None,
    report: Report,
) -> bool:
    joined = job.begin(client, plan, bucket.location.key, make_room)
    if joined:
        detail = f"{plan.namespace}/{plan.name} runs already: joined"
        report(Event(task="job", state="cached", detail=detail))
    job.follow(client, plan, report)
    return joined
