"""Models without a GPU: what they take of a node's memory, on the machine's own node.

What the engine allocates is the same as on a GPU but for where it lies: weights, KV cache and the
host's compute buffer are system memory (llama.cpp's CPU backend, `tests/sizing/engine.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from moltghost.errors import Refused
from moltghost.models.hardware import price_source
from moltghost.models.names import ModelChoice
from moltghost.sizing import kv_cache
from moltghost.sizing.answer import Candidate, Placement, Sizing
from moltghost.sizing.compute import worst_batch
from moltghost.sizing.cost import Cost
from moltghost.sizing.explanations import unfit
from moltghost.sizing.floors import floor_of
from moltghost.sizing.footprint import Footprint, Load
from moltghost.sizing.graph import Device, compute_bytes
from moltghost.sizing.placement import Verdict
from moltghost.sizing.request import NO_GPU, Pool, SizingRequest
from moltghost.sizing.resources import SCRATCH_BYTES, STORES_WHILE_UPDATING, Resources, load_times
from moltghost.sizing.throughput import AGENT_PROMPT_TOKENS, PROMPT_TOKENS, Speed
from moltghost.sizing.weights import WeightLayout, layout
from moltghost.units import MIB

# A judgement: Ollama's server and its runner beside what they allocate for the model, and room for
# the page cache of a copy that is being hashed.
PROCESS_BYTES = 768 * MIB
MARGIN_BYTES = 256 * MIB
# Requested, not a limit: a model on the CPU takes every core that is idle. Small, so that old and
# new fit on a machine of two cores while an update runs both.
CPU_CORES = 0.4


def size_on_cpu(request: SizingRequest, choice: ModelChoice, pools: Sequence[Pool]) -> Sizing:
    """Everything that follows from a model that is to run without a GPU.

    Args:
        request: the question; checked by `request.check`.
        choice: its model.
        pools: the environment's pools; one without a GPU kind takes the model.

    Raises:
        Refused: there is no such pool, or GPU memory was asked for.
    """
    pool = _pool(request, pools)
    weights = layout(choice.model, choice.quantization)
    need = cpu_footprint(weights, choice, request.load)
    terms = price_source()
    nothing = Decimal(0)
    (machine,) = pool.instance_types
    return Sizing(
        model=choice.model.id,
        name=choice.name,
        quantization=choice.quantization,
        context=request.context,
        parallel=request.parallel,
        kv_cache=request.kv_cache,
        batch=request.load.batch,
        file_bytes=weights.file_bytes,
        ollama_tag=choice.file.ollama_tag,
        footprint=need,
        placement=Placement(
            gpu=NO_GPU,
            gpu_count=0,
            instance_type=machine,
            pool=pool.name,
            usd_per_hour=nothing,
            node_usd_per_hour=nothing,
            node_gpu_count=0,
            dedicated=request.dedicated,
            free_bytes_per_gpu=0,
        ),
        candidates=(
            Candidate(
                instance_type=machine,
                gpu=NO_GPU,
                gpu_count=0,
                fits=True,
                verdict=Verdict.FITS.value,
                reason="chosen",
                usd_per_hour=nothing,
                node_usd_per_hour=nothing,
                pool=pool.name,
            ),
        ),
        resources=Resources(
            cpu=CPU_CORES,
            memory_bytes=need.total_bytes,
            ephemeral_storage_bytes=STORES_WHILE_UPDATING * weights.file_bytes + SCRATCH_BYTES,
            gpu_count=0,
        ),
        load=load_times(weights.file_bytes),
        speed=Speed(
            tokens_per_second=None,
            first_token_seconds=None,
            prompt_tokens=min(PROMPT_TOKENS, request.context),
            agent_first_token_seconds=None,
            agent_prompt_tokens=min(AGENT_PROMPT_TOKENS, request.context),
            basis="it depends on this machine's CPU",
        ),
        cost=Cost(
            usd_per_hour=nothing,
            usd_per_month=nothing,
            idle_gpu_count=0,
            idle_usd_per_hour=nothing,
            surge_usd_per_hour=nothing,
            surge_vcpu=0,
            surge_quota="",
            region=terms.region,
            as_of=terms.as_of,
            source=terms.source,
        ),
        floor=floor_of(choice.model.parameters),
        floor_applied=False,
        why=(
            *([choice.said] if choice.said else []),
            *unfit(choice.model),
            "--gpu none was asked for: the model runs on this machine's CPU, in system memory.",
            "Whether the node has room for it is asked of the cluster before anything changes.",
        ),
        request=request,
    )


def cpu_footprint(weights: WeightLayout, choice: ModelChoice, load: Load) -> Footprint:
    """System memory that serving takes: the pod's memory request, in the terms of a GPU's."""
    shape = choice.model.shape
    cache = sum(
        kv_cache.layer_bytes(
            shape,
            context=load.context,
            parallel=load.parallel,
            kv_cache=load.kv_cache,
            ubatch=load.batch,
        )
    )
    batch = worst_batch(
        shape,
        context=load.context,
        parallel=load.parallel,
        kv_cache=load.kv_cache,
        ubatch=load.batch,
    )
    computed = compute_bytes(shape, batch, Device.HOST)
    held = weights.tensor_bytes + cache + computed
    return Footprint(
        weights_bytes=weights.tensor_bytes,
        kv_cache_bytes=cache,
        compute_bytes=computed,
        overhead_bytes=PROCESS_BYTES,
        margin_bytes=MARGIN_BYTES,
        total_bytes=held + PROCESS_BYTES + MARGIN_BYTES,
        cuda_context_bytes=0,
        kv_workspace_bytes=0,
        host_bytes=held,
        per_gpu=(),
    )


def _pool(request: SizingRequest, pools: Sequence[Pool]) -> Pool:
    if request.memory_gb is not None:
        raise Refused(
            "--memory counts GPU memory, and --gpu none has none", "leave one of them out"
        )
    for pool in pools:
        if pool.gpu is None:
            return pool
    raise Refused(
        "the environment has no node for models without a GPU",
        "leave --gpu none out; or take an environment on this machine with `machine: true` in its "
        "cloud stack's file, such as local",
    )
