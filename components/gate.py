"""The gate's config: a Caddyfile that lets through what the runtime needs and nothing else."""

from __future__ import annotations

from moltghost.planning.model_server import (
    GATE_METRICS_PORT,
    GATE_PORT,
    LOADER_PORT,
    OLLAMA_PORT,
    ModelServerPlan,
)

TOKEN_FILE = "/run/gate/token"  # noqa: S105 a path
HEALTH_PATH = "/healthz"
LOADER_METRICS_PATH = "/metrics/loader"

# What OpenClaw calls on a native Ollama provider. Everything else (create, pull, push, delete,
# copy, blobs) answers 403 even with the token.
_ALLOWED = (
    ("POST", ("/api/chat", "/api/generate", "/api/show")),
    ("GET", ("/api/tags", "/api/ps", "/api/version")),
)


def caddyfile(plan: ModelServerPlan) -> str:
    """The gate's Caddyfile.

    The token is read from a file at request time, so it is in no config; ``Host`` is rewritten
    because Ollama on loopback refuses other hosts; streams are flushed at once. The metrics port
    also hands out the loader's metrics, which listens on loopback as Ollama does.
    """
    matchers = "\n".join(
        f"\t@{method.lower()} {{\n\t\tmethod {method}\n\t\tpath {' '.join(paths)}\n\t\t"
        f'header Authorization "Bearer {{file.{TOKEN_FILE}}}"\n\t}}\n'
        f"\thandle @{method.lower()} {{\n\t\timport ollama\n\t}}"
        for method, paths in _ALLOWED
    )
    return f"""{{
	admin off
	persist_config off
	auto_https off
	grace_period {plan.longest_stream_seconds}s
	metrics
	log {{
		level WARN
	}}
}}

(ollama) {{
	reverse_proxy 127.0.0.1:{OLLAMA_PORT} {{
		header_up Host 127.0.0.1:{OLLAMA_PORT}
		header_up -Authorization
		flush_interval -1
		transport http {{
			response_header_timeout {plan.longest_stream_seconds}s
		}}
	}}
}}

:{GATE_PORT} {{
	handle {HEALTH_PATH} {{
		respond "ok" 200
	}}
	@anonymous not header Authorization "Bearer {{file.{TOKEN_FILE}}}"
	handle @anonymous {{
		respond "unauthorized" 401
	}}
{matchers}
	handle {{
		respond "forbidden" 403
	}}
}}

:{GATE_METRICS_PORT} {{
	metrics /metrics
	handle {LOADER_METRICS_PATH} {{
		rewrite * /metrics
		reverse_proxy 127.0.0.1:{LOADER_PORT}
	}}
}}
"""
