"""The four containers of a model server's pod, in the order in which they start."""

from __future__ import annotations

from typing import Any

from pulumi_kubernetes.core import v1 as core

from moltghost.components.gate import HEALTH_PATH, TOKEN_FILE
from moltghost.components.naming import seconds
from moltghost.components.pod_parts import (
    LAST_LINES,
    PROBE_PERIOD_SECONDS,
    container_security,
    env,
    exec_probe,
    mount,
    ollama_probe,
    resources,
)
from moltghost.labels import GATE_CONTAINER, LOADER_CONTAINER, OLLAMA_CONTAINER, WEIGHTS_CONTAINER
from moltghost.planning.agent import AgentPlan
from moltghost.planning.model_server import (
    GATE_METRICS_PORT,
    GATE_PORT,
    LOADER_PORT,
    OLLAMA_PORT,
)
from moltghost.units import GIB, MIB

MODELS_DIR = "/models"
CUDA_CACHE = "cuda-cache"
CUDA_CACHE_BYTES = 1280 * MIB
"""Limit of the volume for what CUDA's driver compiles where Ollama has no code for a GPU."""
_CUDA_CACHE_DIR = "/cuda-cache"
# NVIDIA's default (CUDA C++ Programming Guide, environment variables), written out because the
# volume's limit is above it: whoever passes that is evicted. Never seen on a GPU.
_CUDA_CACHE_MOST_BYTES = GIB
# Copying and hashing work in parallel chunks; what they read goes through the page cache.
_COPY_MEMORY_BYTES = 4 * GIB


def init_containers(plan: AgentPlan) -> list[core.ContainerArgs]:
    """The copy of the weights, then the two native sidecars."""
    return [_weights(plan), _ollama(plan), _loader(plan)]


def main_containers(plan: AgentPlan) -> list[core.ContainerArgs]:
    """The gate, which is stopped first."""
    return [_gate(plan)]


def _weights(plan: AgentPlan) -> core.ContainerArgs:
    server = plan.model_server
    return core.ContainerArgs(
        name=WEIGHTS_CONTAINER,
        image=plan.images.tools,
        termination_message_policy=LAST_LINES,
        args=["weights", "--from", server.store_url, "--to", MODELS_DIR],
        env=env({"AWS_ENDPOINT_URL_S3": server.store_endpoint} if server.store_endpoint else {}),
        security_context=container_security(),
        resources=resources(
            server.ollama_share.model_copy(
                update={"memory_bytes": min(server.ollama_share.memory_bytes, _COPY_MEMORY_BYTES)}
            )
        ),
        volume_mounts=[_mount("models", MODELS_DIR), _tmp("weights")],
    )


def _ollama(plan: AgentPlan) -> core.ContainerArgs:
    server = plan.model_server
    return core.ContainerArgs(
        name=OLLAMA_CONTAINER,
        image=plan.images.ollama,
        restart_policy="Always",
        args=["serve"],
        env=env(
            {
                "HOME": "/home/ollama",
                "OLLAMA_HOST": f"127.0.0.1:{OLLAMA_PORT}",
                "OLLAMA_MODELS": MODELS_DIR,
                "OLLAMA_CONTEXT_LENGTH": str(server.context),
                "OLLAMA_NUM_PARALLEL": str(server.parallel),
                "OLLAMA_KV_CACHE_TYPE": server.kv_cache,
                "OLLAMA_FLASH_ATTENTION": "1",
                "OLLAMA_SCHED_SPREAD": "1" if server.spread else "0",
                "OLLAMA_MAX_LOADED_MODELS": "1",
                "OLLAMA_KEEP_ALIVE": "-1",
                # A stalled load is ended by the loader's budget, not sooner by Ollama.
                "OLLAMA_LOAD_TIMEOUT": seconds(server.startup_budget_seconds),
                "OLLAMA_NO_CLOUD": "1",
                "OLLAMA_NOPRUNE": "1",
                **(_cuda_cache() if server.gpu_count else {}),
            }
        ),
        security_context=container_security(),
        resources=resources(server.ollama_share, server.extended_resources),
        startup_probe=ollama_probe(),
        liveness_probe=ollama_probe(),
        volume_mounts=[
            _mount("models", MODELS_DIR, read_only=True),
            _mount("home", "/home/ollama"),
            *([_mount(CUDA_CACHE, _CUDA_CACHE_DIR)] if server.gpu_count else []),
            _tmp("ollama"),
        ],
    )


def _cuda_cache() -> dict[str, str]:
    """Away from the home, which is small."""
    return {
        "CUDA_CACHE_PATH": _CUDA_CACHE_DIR,
        "CUDA_CACHE_MAXSIZE": str(_CUDA_CACHE_MOST_BYTES),
    }


def _loader(plan: AgentPlan) -> core.ContainerArgs:
    server = plan.model_server
    return core.ContainerArgs(
        name=LOADER_CONTAINER,
        image=plan.images.tools,
        restart_policy="Always",
        termination_message_policy=LAST_LINES,
        args=["loader"],
        env=env(
            {
                "LOADER_OLLAMA": f"http://127.0.0.1:{OLLAMA_PORT}",
                "LOADER_STORE": MODELS_DIR,
                "LOADER_MODEL": server.alias,
                "LOADER_CONTEXT": str(server.context),
                "LOADER_GPUS": str(server.gpu_count),
                "LOADER_PREDICTED_BYTES": str(plan.sizing.footprint.total_bytes),
                "LOADER_LISTEN": f"127.0.0.1:{LOADER_PORT}",
            }
        ),
        security_context=container_security(),
        resources=resources(server.loader_share),
        # Kubernetes waits for a sidecar to have started, not to be ready: the proof that the
        # model is loaded as planned is the startup probe.
        startup_probe=exec_probe(
            ["agent-tools", "loader", "--check", "proven"], server.startup_budget_seconds
        ),
        readiness_probe=core.ProbeArgs(
            exec_=core.ExecActionArgs(command=["agent-tools", "loader", "--check", "healthy"]),
            period_seconds=PROBE_PERIOD_SECONDS,
            timeout_seconds=PROBE_PERIOD_SECONDS,
        ),
        volume_mounts=[_mount("models", MODELS_DIR, read_only=True), _tmp("loader")],
    )


def _gate(plan: AgentPlan) -> core.ContainerArgs:
    server = plan.model_server
    health = core.HTTPGetActionArgs(path=HEALTH_PATH, port="http")
    return core.ContainerArgs(
        name=GATE_CONTAINER,
        image=plan.images.gate,
        args=["run", "--config", "/etc/gate/Caddyfile", "--adapter", "caddyfile"],
        env=env({"HOME": "/tmp", "XDG_DATA_HOME": "/tmp", "XDG_CONFIG_HOME": "/tmp"}),  # noqa: S108 in the container
        security_context=container_security(),
        resources=resources(server.gate_share),
        ports=[
            core.ContainerPortArgs(name="http", container_port=GATE_PORT, protocol="TCP"),
            core.ContainerPortArgs(
                name="metrics", container_port=GATE_METRICS_PORT, protocol="TCP"
            ),
        ],
        readiness_probe=core.ProbeArgs(
            http_get=health, period_seconds=PROBE_PERIOD_SECONDS, timeout_seconds=2
        ),
        liveness_probe=core.ProbeArgs(http_get=health, period_seconds=10, timeout_seconds=5),
        lifecycle=core.LifecycleArgs(
            pre_stop=core.LifecycleHandlerArgs(
                sleep=core.SleepActionArgs(seconds=server.drain_seconds)
            )
        ),
        volume_mounts=[
            _mount("gate-config", "/etc/gate", read_only=True),
            _mount("gate-token", TOKEN_FILE.rpartition("/")[0], read_only=True),
            _tmp("gate"),
        ],
    )


def _mount(volume: str, path: str, *, read_only: bool = False) -> Any:
    return mount(volume, path, read_only=read_only)


def _tmp(container: str) -> Any:
    return mount("tmp", "/tmp", below=container)  # noqa: S108 in the container
