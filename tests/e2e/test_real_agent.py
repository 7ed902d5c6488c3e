"""An agent that really runs on the machine's own node: Gemma 3 270M on the CPU.

The very manifests of every agent, real containers, a real store, Ollama and OpenClaw.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from moltghost.local.node.requirements import unavailable
from tests.e2e.conftest import Moltghost
from tests.e2e.full_precision import write_full_precision
from tests.e2e.hello import CONTEXT, NAMESPACE, STREAMS, Hello, conversations, until

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(bool(unavailable()), reason=f"no node of its own: {unavailable()}"),
]


@pytest.fixture(scope="module")
def hello(machine: Moltghost) -> Hello:
    """The agent, deployed; its store is built first."""
    machine.deployed.append("hello")
    options = ("--model", "gemma3-270m-q4", "--gpu", "none", "--context", "16k")
    machine("deploy", "hello", *options, "--owner", "team-a", "--yes", timeout=900)
    return Hello(machine)


def test_it_is_ready_on_the_machine_and_is_not_simulated(hello: Hello) -> None:
    status = hello.moltghost.json("agent", "status", "hello")
    assert (status["stage"], status["ready"]) == ("ready", True)
    assert status["node"] == {"name": "machine", "instance_type": "machine", "simulated": False}
    assert status["node_usd_per_hour"] == 0


def test_a_request_is_answered_by_the_model_through_openclaw_and_the_gate(hello: Hello) -> None:
    # More than once: OpenClaw refuses to stream an answer that begins with its own timestamp.
    for _ in range(3):
        assert "Paris" in hello.answer()


def test_the_gate_opens_for_its_own_token_and_for_what_the_runtime_needs(hello: Hello) -> None:
    token = hello.token()
    assert hello.status_of("GET", "/api/ps", token) == 200
    assert hello.status_of("GET", "/api/ps", None) == 401
    assert hello.status_of("GET", "/api/ps", hello.token("gateway-token-1")) == 401
    for method, path in (
        ("DELETE", "/api/delete"),
        ("POST", "/api/pull"),
        ("POST", "/api/create"),
        ("POST", "/api/push"),
        ("POST", "/api/copy"),
        ("POST", "/api/chat/../delete"),
    ):
        assert hello.status_of(method, path, token) == 403, path


@pytest.mark.parametrize("program", ["ollama", "agent-tools", "caddy", "node"])
def test_its_processes_have_no_rights_beyond_their_own_volumes(hello: Hello, program: str) -> None:
    found = hello.processes(program)
    assert found, f"no {program} runs"
    for pid in found:
        status = dict(
            line.split(":\t", 1)
            for line in Path(f"/proc/{pid}/status").read_text().splitlines()
            if ":\t" in line
        )
        assert status["Uid"].split() == ["1000"] * 4
        assert {status[f"Cap{kind}"] for kind in ("Inh", "Prm", "Eff", "Bnd", "Amb")} == {"0" * 16}
        assert status["NoNewPrivs"] == "1"
        assert status["Seccomp"] == "2"
        mounts = Path(f"/proc/{pid}/mountinfo").read_text().splitlines()
        [root] = [line.split() for line in mounts if line.split()[4] == "/"]
        assert root[5].split(",")[0] == "ro"
        assert not Path(f"/proc/{pid}/root/var/run/secrets/kubernetes.io").exists()


@pytest.fixture(scope="module")
def precise(hello: Hello, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model's weights in F16, a source for other stores."""
    target = tmp_path_factory.mktemp("precise") / "gemma3-270m-f16.gguf"
    write_full_precision(hello.source, target)
    return target


def test_no_stream_is_lost_while_it_moves_and_gets_another_model_and_is_rolled_back(
    hello: Hello, precise: Path, tmp_path: Path
) -> None:
    build = ("weights", "add", "gemma3-270m-q8", "--from", str(precise), "--quantize", "q8_0")
    hello.moltghost(*build, timeout=900)
    before = {pod["metadata"]["uid"] for pod in hello.pods()}
    with conversations(hello) as answers, hello.streams(tmp_path) as result:
        hello.moltghost("agent", "move", "hello", "--yes", timeout=900)
        # Two cores hold an agent and one surge, not what still drains as well.
        until(lambda: len(hello.pods()) == 1)
        hello.moltghost(
            "agent", "update", "hello", "--model", "gemma3-270m-q8", "--yes", timeout=900
        )
        until(lambda: len(hello.pods()) == 1)
        hello.moltghost("agent", "rollback", "hello", "--yes", timeout=900)
        until(lambda: len(hello.pods()) == 1)
        ended = result()
    assert {pod["metadata"]["uid"] for pod in hello.pods()}.isdisjoint(before)
    assert len(ended) >= 3 * STREAMS
    assert len(answers) >= 3
    assert all("Paris" in each for each in answers)
    assert {stream["ended"] for stream in ended} == {"whole"}
    history = hello.moltghost.json("agent", "history", "hello")
    assert len(history) >= 3
    assert hello.moltghost.json("agent", "status", "hello")["model"] == "gemma3-270m"


def test_a_model_whose_proof_fails_is_taken_back_and_the_old_one_answers_all_the_time(
    hello: Hello, tmp_path: Path
) -> None:
    """Its file was trained for less context than the agent has, where Ollama just cuts it."""
    short = tmp_path / "short.gguf"
    write_full_precision(hello.source, short, context=CONTEXT // 4)
    build = ("weights", "add", "gemma3-270m-f16", "--from", str(short))
    assert f"trained for {CONTEXT // 4} tokens" in hello.moltghost(*build, code=2)
    hello.moltghost(*build, "--unchecked", timeout=900)
    [pod] = hello.pods()
    with hello.streams(tmp_path) as result:
        update = ("agent", "update", "hello", "--model", "gemma3-270m-f16", "--yes")
        told = hello.moltghost(*update, code=1, timeout=900)
        until(lambda: len(hello.pods()) == 1)
        ended = result()
    assert f"{CONTEXT // 4} tokens, not {CONTEXT}" in told
    assert [each["metadata"]["uid"] for each in hello.pods()] == [pod["metadata"]["uid"]]
    assert {stream["ended"] for stream in ended} == {"whole"}
    assert "Paris" in hello.answer()


@pytest.mark.long  # test_crashes.py kills an update of simulated pods
def test_an_update_that_is_killed_locks_out_nobody_and_is_finished_by_the_next(
    hello: Hello, tmp_path: Path
) -> None:
    update = ("agent", "update", "hello", "--parallel", "2", "--yes")
    with hello.streams(tmp_path) as result:
        first = hello.moltghost.start(*update)
        until(lambda: len(hello.pods()) == 2)
        # Where the cores are few, for want of room, and else because somebody changes the stack.
        hello.moltghost("agent", "update", "hello", "--parallel", "3", "--yes", code=2)
        first.kill()
        first.communicate(timeout=30)
        hello.moltghost(*update, timeout=900)
        until(lambda: len(hello.pods()) == 1)
        ended = result()
    assert {stream["ended"] for stream in ended} == {"whole"}
    assert "Paris" in hello.answer()


def test_the_gate_refuses_another_agents_token(hello: Hello) -> None:
    hello.moltghost.deploy("other", "llama3.1-8b-q4")
    token = hello.token(namespace="agent-other")
    assert token != hello.token()
    assert hello.status_of("GET", "/api/ps", token) == 401


def test_a_killed_ollama_comes_back_with_its_model_and_the_pod_stays(hello: Hello) -> None:
    [pod] = hello.pods()
    for pid in hello.processes("ollama"):
        os.kill(pid, signal.SIGKILL)
    until(lambda: hello.restarts("ollama") >= 1)
    hello.wait_until_ready()
    assert [each["metadata"]["uid"] for each in hello.pods()] == [pod["metadata"]["uid"]]
    assert hello.answer().strip()


def test_a_killed_gate_is_started_again(hello: Hello) -> None:
    [pid] = hello.processes("caddy")
    os.kill(pid, signal.SIGKILL)
    until(lambda: hello.restarts("gate") >= 1)
    hello.wait_until_ready()
    assert hello.status_of("GET", "/api/version", hello.token()) == 200


def test_a_restarted_kubelet_leaves_the_containers_alone(hello: Hello) -> None:
    embedded = hello.moltghost.cluster.embedded
    before = {name: hello.processes(name) for name in ("ollama", "caddy", "node")}
    record = next(each for each in embedded.status().processes if each.name == "kubelet")
    os.kill(record.pid, signal.SIGKILL)
    hello.moltghost("local", "up", timeout=300)
    assert {name: hello.processes(name) for name in before} == before
    hello.wait_until_ready()


def test_paused_it_has_no_process_and_resumed_it_answers_with_its_memory(hello: Hello) -> None:
    claim = hello.moltghost.cluster.client.get(
        "v1", "PersistentVolumeClaim", "runtime-state", NAMESPACE
    )
    assert claim
    hello.moltghost("agent", "pause", "hello", "--yes", timeout=900)
    until(lambda: not hello.processes("ollama") and not hello.processes("node"), 400)
    assert hello.moltghost.json("agent", "status", "hello")["stage"] == "paused"
    assert "is paused" in hello.moltghost("agent", "chat", "hello", "-m", "hi", code=2)
    hello.moltghost("agent", "resume", "hello", "--yes", timeout=900)
    assert hello.answer().strip()
    again = hello.moltghost.cluster.client.get(
        "v1", "PersistentVolumeClaim", "runtime-state", NAMESPACE
    )
    assert again
    assert again["metadata"]["uid"] == claim["metadata"]["uid"]
