"""What Service and gate cost: the same requests to Ollama itself and through them, in turns.

Run as root: python -m benchmarks.gate. It asks the agent `hello` of environment `local`, which
`make up` deploys, from inside its pods: Ollama from the model server's own, Service and gate from
the runtime's, as OpenClaw does.
"""

from __future__ import annotations

import base64
import http.client
import json
import os
import statistics
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

from benchmarks.timing import machine, table
from moltghost import paths
from moltghost.kube.client import Client
from moltghost.labels import agent_namespace
from moltghost.local.node import network
from moltghost.planning.model_server import GATE_PORT, OLLAMA_PORT

_NAMESPACE = agent_namespace("hello")
_ROUNDS = 6
_STREAMS, _ANSWERS, _TOKENS = 2, 2, 64
_SMALL_REQUESTS = 1000
_CONTEXT = 16384


def client(address: str) -> None:
    """Ask ``address`` and print what was measured; the token comes in the environment."""
    rates: list[int] = []
    threads = [
        threading.Thread(target=lambda: rates.extend(_generate(address))) for _ in range(_STREAMS)
    ]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    per_second = sum(rates) / (time.perf_counter() - began)
    sys.stdout.write(json.dumps({"tokens_per_second": per_second, "small": _small(address)}))


def _headers() -> dict[str, str]:
    return {"Authorization": f"Bearer {os.environ['TOKEN']}", "Content-Type": "application/json"}


def _generate(address: str) -> list[int]:
    """Tokens of each streamed answer."""
    connection, tokens = http.client.HTTPConnection(address, timeout=600), []
    body = json.dumps(
        {
            "model": "moltghost/agent:current",
            "prompt": "one two three four five six",
            "raw": True,
            "stream": True,
            "keep_alive": -1,
            "options": {"num_ctx": _CONTEXT, "num_predict": _TOKENS, "seed": 1, "stop": []},
        }
    )
    for _ in range(_ANSWERS):
        connection.request("POST", "/api/generate", body=body, headers=_headers())
        *_, last = connection.getresponse()
        tokens.append(int(json.loads(last)["eval_count"]))
    return tokens


def _small(address: str) -> list[float]:
    """Seconds of each request that Ollama answers at once."""
    connection, times = http.client.HTTPConnection(address, timeout=60), []
    for _ in range(_SMALL_REQUESTS):
        began = time.perf_counter()
        connection.request("GET", "/api/version", headers=_headers())
        answer = connection.getresponse()
        answer.read()
        times.append(time.perf_counter() - began)
        if answer.status != http.client.OK:
            raise SystemExit(f"{address} answered {answer.status}")
    return times


def inside(program: str, address: str, token: str) -> dict[str, Any]:
    """Run the client in the network of one of the agent's containers."""
    pid = _process(program)
    done = subprocess.run(
        [
            "/usr/bin/nsenter",
            f"--net=/proc/{pid}/ns/net",
            sys.executable,
            "-m",
            "benchmarks.gate",
            address,
        ],
        env={**os.environ, "TOKEN": token},
        stdout=subprocess.PIPE,
        check=True,
    )
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def _process(program: str) -> int:
    """A process of the agent's containers, by the name that it was started as."""
    mine = f"moltghost-{network.identity(paths.cluster_home())}/"
    for entry in Path("/proc").iterdir():
        try:
            name = (entry / "cmdline").read_bytes().partition(b"\0")[0].decode()
            if mine in (entry / "cgroup").read_text() and Path(name).name == program:
                return int(entry.name)
        except OSError:
            continue
    raise SystemExit(f"no {program} runs: `make up` as root deploys hello")


def main() -> None:
    """Measure in turns and print a table."""
    cluster = Client(paths.kubeconfig())
    service = cluster.get("v1", "Service", "model-server", _NAMESPACE)
    secret = cluster.get("v1", "Secret", "gate-token-1", _NAMESPACE)
    if service is None or secret is None:
        raise SystemExit("there is no agent hello: `make up` as root deploys it")
    token = base64.b64decode(secret["data"]["token"]).decode()
    ways = {
        "Ollama": ("ollama", f"127.0.0.1:{OLLAMA_PORT}"),
        "Service and gate": ("node", f"{service['spec']['clusterIP']}:{GATE_PORT}"),
    }
    rates: dict[str, list[float]] = {way: [] for way in ways}
    small: dict[str, list[float]] = {way: [] for way in ways}
    for number in range(_ROUNDS):
        # The order changes, so that what warms up or wears off favours nobody.
        for way in list(ways)[:: 1 if number % 2 else -1]:
            measured = inside(*ways[way], token)
            rates[way].append(measured["tokens_per_second"])
            small[way].extend(measured["small"])
    own, through = (max(each) for each in rates.values())
    rows = [
        (f"{way}: tokens/s, best of {_ROUNDS}", f"{max(each):.1f}") for way, each in rates.items()
    ]
    rows.append(("throughput through Service and gate", f"{100 * through / own:.1f} %"))
    for name, part in (("median", 0.5), ("p99", 0.99)):
        times = [_quantile(each, part) for each in small.values()]
        added = 1000 * (times[1] - times[0])
        shown = f"{1000 * times[0]:.2f} ms, {1000 * times[1]:.2f} ms: {added:.2f} ms added"
        rows.append((f"a small request, {name}: without and with them", shown))
    print(machine())
    print(table(rows))


def _quantile(times: list[float], part: float) -> float:
    return statistics.quantiles(times, n=100)[round(100 * part) - 1]


if __name__ == "__main__":
    if len(sys.argv) > 1:
        client(sys.argv[1])
    else:
        main()
