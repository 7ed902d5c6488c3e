"""System memory, CPU and disk of the model server's pod, and how long it takes to start."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

from moltghost.models.hardware_facts import InstanceType
from moltghost.models.shape import Shape
from moltghost.sizing.footprint import Load
from moltghost.sizing.kv_cache import checkpoint_bytes
from moltghost.sizing.nodes import allocatable
from moltghost.units import GB, GIB, MIB

# Product text: 16-512 GB of system memory per agent pod. The ends are chosen to lie inside both
# readings of GB: 16 GiB and 512 * 10^9.
MEMORY_MIN_BYTES = 16 * GIB
MEMORY_MAX_BYTES = 512 * GB // GIB * GIB
# The file in the page cache, so that a reload is not a re-read, and 8 GiB for the process, its
# pinned buffers (0.1-1.5 GiB), the host copy of the token embedding, the gate and the loader.
MEMORY_BESIDE_FILE_BYTES = 8 * GIB
# The same without what is free to go: process, pinned buffers, embeddings, gate and loader.
PROCESS_BYTES = 4 * GIB
# llama-server's defaults (common/common.h l.613-615 of llama.cpp b10488).
PROMPT_CACHE_BYTES = 8192 * MIB
MOST_CHECKPOINTS, CHECKPOINT_STEP, CHECKPOINTS_OF_A_TURN = 32, 8192, 3
# A judgement: one core feeds a GPU (sampling, tokenizing, launching), one is for gate and loader.
CPU_BASE, CPU_PER_GPU = 1, 1
# An update in place holds the old store and the new one; logs, temporary files and what
# CUDA's driver compiles lie beside them.
STORES_WHILE_UPDATING = 2
SCRATCH_BYTES = 2 * GIB
# What a node needs beside this pod. Daemon sets (VPC CNI, kube-proxy, Pod Identity agent, EBS CSI,
# device plugin) request less than this; two generations of container images with CUDA.
DAEMONS_CPU_MILLIS = 500
DAEMONS_MEMORY_BYTES = 512 * MIB
IMAGES_BYTES = 20 * GB
FILESYSTEM_PERCENT = 2  # XFS's log and metadata; Karpenter counts the raw disks
# Rates assumed: S3 to NVMe, sha256 by OpenSSL (1.6 GB/s measured), NVMe to GPU. Per second.
DOWNLOAD_BYTES_PER_SECOND = 1 * GB
SHA256_BYTES_PER_SECOND = 1_600_000_000
READ_BYTES_PER_SECOND = 1 * GB
_LOAD_BASE_SECONDS, _LOAD_ALLOWANCE_PERCENT = 30, 20
_PROBE_SAFETY, _PROBE_STEP_SECONDS = 3, 60


@dataclass(frozen=True, slots=True)
class Resources:
    """What the model server's pod requests in total: Ollama, the loader and the gate.

    Attributes:
        cpu: cores; whole ones beside a GPU.
        gpu_count: `nvidia.com/gpu`.
    """

    cpu: float
    memory_bytes: int
    ephemeral_storage_bytes: int
    gpu_count: int


@dataclass(frozen=True, slots=True)
class LoadTimes:
    """Seconds of each stage of a pod's start, at the assumed rates.

    Attributes:
        startup_budget_seconds: for the startup probe: three times the load, in whole minutes.
    """

    download_seconds: int
    verify_seconds: int
    load_seconds: int
    startup_budget_seconds: int


@dataclass(frozen=True, slots=True)
class Shortfall:
    """A resource of which a node has too little. Amounts in `unit`."""

    resource: str
    needed: float
    available: float
    unit: str

    def __str__(self) -> str:
        return (
            f"{self.resource}: needs {self.needed:.4g} {self.unit}, "
            f"{self.available:.4g} {self.unit} to be had"
        )


def kept_bytes(shape: Shape, load: Load) -> int:
    """System memory that llama-server keeps of what its slots have read.

    The prompt cache, and checkpoints of what can't be rewound (recurrent states, windows): one in
    every 8192 tokens, at the last message and at the prompt's end, 32 of a slot at most
    (tools/server/server-context.cpp, `create_checkpoint`). Ollama passes neither limit.
    """
    count = min(MOST_CHECKPOINTS, load.context // CHECKPOINT_STEP + CHECKPOINTS_OF_A_TURN)
    one = checkpoint_bytes(shape, context=load.context, kv_cache=load.kv_cache, ubatch=load.batch)
    return PROMPT_CACHE_BYTES + load.parallel * count * one


def resources(
    file_bytes: int, gpu_count: int, storage_floor_gb: int, kept: int = PROMPT_CACHE_BYTES
) -> Resources:
    """The pod's requests.

    The file's pages give way to what the server keeps: memory is enough for the file and the
    process, or for the process and what it keeps, whichever is more.

    Args:
        file_bytes: the model file.
        gpu_count: GPUs it takes.
        storage_floor_gb: the product text's storage for this class, 10^9 bytes.
        kept: what the server keeps in system memory (`kept_bytes`).
    """
    most = max(file_bytes + MEMORY_BESIDE_FILE_BYTES, kept + PROCESS_BYTES)
    wanted = -(-most // GIB) * GIB
    return Resources(
        cpu=CPU_BASE + CPU_PER_GPU * gpu_count,
        memory_bytes=min(max(wanted, MEMORY_MIN_BYTES), MEMORY_MAX_BYTES),
        ephemeral_storage_bytes=max(
            STORES_WHILE_UPDATING * file_bytes + SCRATCH_BYTES, storage_floor_gb * GB
        ),
        gpu_count=gpu_count,
    )


def shortfalls(wanted: Resources, kind: InstanceType) -> tuple[Shortfall, ...]:
    """What a node of this type has too little of for the pod, its images and the daemon sets."""
    room = allocatable(kind)
    disk_overhead = IMAGES_BYTES + kind.nvme_gb * GB * FILESYSTEM_PERCENT // 100
    rows = (
        ("vCPU", wanted.cpu * 1000, room.cpu_millis - DAEMONS_CPU_MILLIS, 1000, "cores"),
        (
            "system memory",
            wanted.memory_bytes,
            room.memory_bytes - DAEMONS_MEMORY_BYTES,
            GIB,
            "GiB",
        ),
        (
            "NVMe storage",
            wanted.ephemeral_storage_bytes,
            room.ephemeral_storage_bytes - disk_overhead,
            GB,
            "GB",
        ),
    )
    return tuple(
        Shortfall(name, needed / scale, max(available, 0) / scale, unit)
        for name, needed, available, scale, unit in rows
        if needed > available
    )


def load_times(file_bytes: int) -> LoadTimes:
    """How long the pod's stages take for a file of this size.

    Budget: (30 s + file / read rate) + 20 %, three times, rounded up to minutes.
    """
    load = _LOAD_BASE_SECONDS + file_bytes / READ_BYTES_PER_SECOND
    allowed = load * (100 + _LOAD_ALLOWANCE_PERCENT) / 100
    steps = ceil(allowed * _PROBE_SAFETY / _PROBE_STEP_SECONDS)
    return LoadTimes(
        download_seconds=ceil(file_bytes / DOWNLOAD_BYTES_PER_SECOND),
        verify_seconds=ceil(file_bytes / SHA256_BYTES_PER_SECOND),
        load_seconds=ceil(load),
        startup_budget_seconds=steps * _PROBE_STEP_SECONDS,
    )
