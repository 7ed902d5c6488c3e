"""The plan of an agent's runtime: OpenClaw with its memory on a volume."""

from __future__ import annotations

from typing import Any

from moltghost.labels import MODEL_SERVER, agent_namespace
from moltghost.planning.base import Plan
from moltghost.planning.model_server import GATE_PORT, ModelServerPlan, Share
from moltghost.planning.platform import PlatformPlan
from moltghost.planning.pools import Scheduling
from moltghost.units import GIB, MIB

RUNTIME_PORT = 18789
RUNTIME_POOL = "cpu"

# Peak resident set of OpenClaw 2026.9.6, hardened: 1.0-1.2 GiB (runtime facts 1.3, measured).
_MEMORY_BYTES = 2 * GIB
_NODE_HEAP_MIB = 1536
# OpenClaw waits for the model most of the time; its start takes what is free.
_CPU_MILLIS = 500
_VOLUME_BYTES = 10 * GIB
_SCRATCH_BYTES = 512 * MIB
# OpenClaw drains for 315 s, reserves 10 and leaves 5; the endpoints take 15 s to go.
_DRAIN_SECONDS = 15
_TERMINATION_GRACE_SECONDS = 345
# Ready after 8-16 s on two shared cores (measured); a cold volume takes longer.
_STARTUP_BUDGET_SECONDS = 180


class RuntimePlan(Plan):
    """Everything that decides the pod with OpenClaw."""

    replicas: int
    """1, or 0 while the agent is paused."""
    pool: str
    scheduling: Scheduling
    port: int = RUNTIME_PORT
    share: Share = Share(
        cpu_millis=_CPU_MILLIS, memory_bytes=_MEMORY_BYTES, ephemeral_bytes=2 * _SCRATCH_BYTES
    )
    node_heap_mib: int = _NODE_HEAP_MIB
    volume_bytes: int = _VOLUME_BYTES
    scratch_bytes: int = _SCRATCH_BYTES
    drain_seconds: int = _DRAIN_SECONDS
    termination_grace_seconds: int = _TERMINATION_GRACE_SECONDS
    startup_budget_seconds: int = _STARTUP_BUDGET_SECONDS
    config: dict[str, Any]
    """OpenClaw's config file. It holds no secret: ``${...}`` is read from the environment."""


def plan_runtime(agent: str, server: ModelServerPlan, platform: PlatformPlan) -> RuntimePlan:
    """Decide the runtime's pod and its config from the model server it talks to.

    A model server on the machine's own node answers for real, and so must who asks it.

    Raises:
        Refused: the environment has no pool for runtimes.
    """
    machine = platform.machine
    pool = machine.name if machine and server.pool == machine.name else RUNTIME_POOL
    return RuntimePlan(
        replicas=server.replicas,
        pool=pool,
        scheduling=platform.nodes(pool).scheduling(),
        config=openclaw_config(agent, server),
    )


def openclaw_config(agent: str, server: ModelServerPlan) -> dict[str, Any]:
    """OpenClaw's config: one model, one provider (the agent's own gate), nothing else switched on.

    Validated with OpenClaw 2026.9.6 (``openclaw config validate``); the context is the plan's, so
    that OpenClaw asks for the very runner options that the loader warmed.
    """
    host = f"{MODEL_SERVER}.{agent_namespace(agent)}.svc.cluster.local"
    model: dict[str, Any] = {
        "id": server.alias,
        "name": server.alias,
        "reasoning": False,
        # OpenClaw drops images without a word for a model that isn't said to take them.
        "input": ["text", "image"] if server.supports_vision else ["text"],
        "cost": {"input": 0, "output": 0, "cacheRead": 0, "cacheWrite": 0},
        "contextWindow": server.context,
        "contextTokens": server.context,
        "maxTokens": server.max_tokens,
        "params": {"num_ctx": server.context, "keep_alive": -1},
    }
    if not server.supports_tools:
        # A template without tools answers 400 as long as tools are sent.
        model["compat"] = {"supportsTools": False}
    return {
        "gateway": {
            "mode": "local",
            "bind": "lan",
            "port": RUNTIME_PORT,
            "auth": {
                "mode": "token",
                "rateLimit": {"maxAttempts": 10, "windowMs": 60000, "lockoutMs": 300000},
            },
            "controlUi": {"enabled": False},
            "terminal": {"enabled": False},
            "cliAgents": {"enabled": False},
            "tailscale": {"mode": "off"},
            "nodes": {"pairing": {"autoApproveLocal": False, "sshVerify": False}},
            "reload": {"mode": "off"},
            "http": {"endpoints": {"chatCompletions": {"enabled": True}}},
        },
        "models": {
            "mode": "replace",
            "catalogRefresh": {"enabled": False},
            "providers": {
                "ollama": {
                    "baseUrl": f"http://{host}:{GATE_PORT}",
                    "apiKey": "${MODEL_SERVER_TOKEN}",
                    "api": "ollama",
                    "timeoutSeconds": server.longest_stream_seconds,
                    "models": [model],
                }
            },
        },
        "agents": {
            "defaults": {
                "workspace": "/home/node/.openclaw/workspace",
                "model": {"primary": f"ollama/{server.alias}", "fallbacks": []},
                "heartbeat": {"every": "0m"},
                "skipBootstrap": True,
                "sandbox": {"mode": "off"},
            }
        },
        "tools": {
            "profile": "minimal",
            "elevated": {"enabled": False},
            "web": {"search": {"enabled": False}, "fetch": {"enabled": False}},
        },
        "plugins": {"allow": ["ollama"], "slots": {"memory": "none"}},
        "memory": {"search": {"enabled": False}},
        "browser": {"enabled": False},
        "cron": {"enabled": False},
        "discovery": {"mdns": {"mode": "off"}},
        "logging": {"level": "info", "consoleLevel": "info", "consoleStyle": "json"},
        "update": {"checkOnStart": False, "auto": {"enabled": False}},
        "telemetry": {"enabled": False},
    }
