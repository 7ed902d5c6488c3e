"""The plan of the job that builds one model store, and where stores and sources lie.

Why: docs/decisions/0053.
"""

from __future__ import annotations

import hashlib
from typing import Any

from pydantic import Field

from moltghost.config import EnvironmentConfig
from moltghost.errors import Refused
from moltghost.labels import (
    STORE_LABEL,
    WEIGHTS_ACCOUNT,
    WEIGHTS_NAMESPACE,
    environment_labels,
)
from moltghost.models.catalogue import file_types
from moltghost.models.facts import Model
from moltghost.models.names import ModelChoice
from moltghost.planning.base import Plan
from moltghost.planning.cloud import plan_cloud
from moltghost.planning.environment import CloudPlan
from moltghost.planning.images import Images
from moltghost.planning.model_server import OLLAMA_PORT, Share
from moltghost.planning.platform import PlatformPlan, plan_platform
from moltghost.planning.pools import NodesPlan, Scheduling
from moltghost.sizing import Resources, size_build, size_build_on_machine
from moltghost.units import MIB

WEIGHTS_POOL = "weights"
_NAME_HASH = 10
# Downloads, hashes and uploads in a handful of parallel chunks of 16 MiB.
_BUILDER_CPU_MILLIS, _BUILDER_MEMORY_BYTES = 500, 512 * MIB
_SCRATCH_BYTES = 256 * MIB
# A day for the largest model on the slowest link; what hangs longer is not coming.
_DEADLINE_SECONDS = 24 * 3600
# A build waits out what passes (a store that is away) by itself; what fails it fails it again, and
# whoever waits should hear of it at once. A pod that went with its node doesn't count.
_RETRIES = 0
_KEEP_SECONDS = 3600
"""For how long a job that ended can be looked at."""


class Source(Plan):
    """What a store is built from, by immutable reference."""

    url: str
    """``s3://BUCKET/sources/<sha256>.gguf``, or an https address that the job fetches itself."""
    sha256: str
    size_bytes: int = 0
    """0 where it isn't known before the job has it."""
    name: str
    """What a person and ``store.json`` call it."""
    licence: str


class WeightsJobPlan(Plan):
    """Everything that decides the job of one model store."""

    environment: str
    name: str
    """Of the Job: equal for equal stores, so that the API server lets only one build it."""
    namespace: str = WEIGHTS_NAMESPACE
    service_account: str = WEIGHTS_ACCOUNT
    labels: dict[str, str]
    model: str
    quantization: str
    """As the catalogue writes it: ``Q4_K_M``."""
    quantize: str
    """Ollama's word for what is made of the source, such as ``q4_K_M``; empty: nothing is."""
    source: Source
    store_url: str
    store_endpoint: str
    ollama_version: str
    options: dict[str, Any] = Field(default_factory=dict)
    """Lines of a Modelfile that the catalogue has for the family."""
    ollama_port: int = OLLAMA_PORT
    images: Images
    pool: str
    scheduling: Scheduling
    builder_share: Share
    ollama_share: Share
    models_bytes: int
    """Limit of the volume with source and store, which Ollama's share pays for."""
    scratch_bytes: int = _SCRATCH_BYTES
    deadline_seconds: int = _DEADLINE_SECONDS
    retries: int = _RETRIES
    keep_seconds: int = _KEEP_SECONDS


def plan_weights_job(
    environment: EnvironmentConfig, choice: ModelChoice, source: Source, *, quantize: bool
) -> WeightsJobPlan:
    """Decide the job.

    Args:
        environment: where the store is for.
        choice: the model and the quantization to publish.
        source: what it is built from.
        quantize: the source is of full precision and becomes ``choice.quantization``.

    Raises:
        Refused: no node of the environment can build it.
    """
    cloud, platform = plan_cloud(environment), plan_platform(environment)
    url = cloud.store_url(choice.model.id, choice.quantization)
    nodes, node_type, resources = _where(cloud, platform, choice, source, quantize=quantize)
    builder = Share(
        cpu_millis=min(_BUILDER_CPU_MILLIS, round(1000 * resources.cpu) // 2),
        memory_bytes=_BUILDER_MEMORY_BYTES,
        ephemeral_bytes=_SCRATCH_BYTES,
    )
    store_hash = hashlib.sha256(url.encode()).hexdigest()[:_NAME_HASH]
    return WeightsJobPlan(
        environment=environment.name,
        name=f"build-{store_hash}",
        labels={**environment_labels(environment.name), STORE_LABEL: store_hash},
        model=choice.model.id,
        quantization=choice.quantization,
        quantize=_ollama_word(choice.quantization) if quantize else "",
        source=source,
        store_url=url,
        store_endpoint=cloud.weights_store.endpoint,
        ollama_version=cloud.images.ollama_version,
        options=_options(choice.model),
        images=cloud.images,
        pool=nodes.name,
        scheduling=nodes.scheduling(node_type),
        builder_share=builder,
        ollama_share=Share(
            cpu_millis=round(1000 * resources.cpu) - builder.cpu_millis,
            memory_bytes=resources.memory_bytes - builder.memory_bytes,
            ephemeral_bytes=resources.ephemeral_storage_bytes - builder.ephemeral_bytes,
        ),
        models_bytes=resources.ephemeral_storage_bytes - 2 * builder.ephemeral_bytes,
    )


def _where(
    cloud: CloudPlan,
    platform: PlatformPlan,
    choice: ModelChoice,
    source: Source,
    *,
    quantize: bool,
) -> tuple[NodesPlan, str | None, Resources]:
    """Nodes, their type and the resources of the job's pod."""
    if cloud.machine:
        resources = size_build_on_machine(choice, quantize=quantize, source_bytes=source.size_bytes)
        return cloud.machine, None, resources
    if cloud.simulated_nodes:
        raise Refused(
            f"environment {cloud.environment} has no node that runs containers: its nodes are "
            "simulated, and a model store is built in a real pod",
            f"write `machine: true` into Pulumi.{cloud.environment}.yaml to make this machine a "
            "node (Linux, as root); agents on simulated nodes need no store",
        )
    planned = platform.pool(WEIGHTS_POOL)
    job = size_build(
        choice, quantize=quantize, source_bytes=source.size_bytes, types=planned.instance_types
    )
    return planned, job.instance_type, job.resources


def _options(model: Model) -> dict[str, Any]:
    """The template counts only where the source has none; its parameters belong to it."""
    if model.chat is None:
        return {}
    return {"template": model.chat.template, "parameters": dict(model.chat.parameters)}


def _ollama_word(quantization: str) -> str:
    """Ollama's API writes ``q4_K_M`` for ``Q4_K_M``."""
    return quantization[0].lower() + quantization[1:]


def require_quantizable(choice: ModelChoice) -> None:
    """Make sure that Ollama can make this quantization.

    Raises:
        Refused: it can only be had as a finished file.
    """
    if not file_types()[choice.quantization].quantizable:
        able = ", ".join(kind.name for kind in file_types().values() if kind.quantizable)
        raise Refused(
            f"Ollama can't quantize to {choice.quantization}",
            f"it can make {able}; or give a finished file with --from and without --quantize",
        )
