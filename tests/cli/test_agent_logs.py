from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.cli.command import Command
from tests.kube.clusters import FakeCluster, deployment, node, ready_pod


class Logging(FakeCluster):
    """A cluster whose containers have logs."""

    def log_tail(self, pod: str, namespace: str, container: str, lines: int) -> list[str]:
        assert namespace == "agent-my-agent"
        return [f"{container} of {pod} wrote {number}" for number in range(lines)][-2:]

    def follow_log(
        self, pod: str, _namespace: str, container: str, *, quiet_seconds: int
    ) -> Iterator[str]:
        assert quiet_seconds >= 3600
        yield f"{container} of {pod} goes on"


@pytest.fixture
def running(cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch) -> FakeCluster:
    """`my-agent` on a node that runs containers; its gate never started."""
    found = Logging(*cluster.items)
    pod = ready_pod()
    pod["spec"]["initContainers"] = [{"name": "ollama"}]
    pod["spec"]["containers"] = [{"name": "gate"}]
    pod["status"]["initContainerStatuses"] = [{"name": "ollama", "state": {"running": {}}}]
    pod["status"]["containerStatuses"] = [{"name": "gate", "state": {"waiting": {}}}]
    found.items += [deployment(), pod, node(simulated=False)]
    monkeypatch.setattr("moltghost.environments.environment.Client", lambda _kubeconfig: found)
    return found


@pytest.mark.usefixtures("running")
def test_logs_of_all_containers_are_told_apart(moltghost: Command) -> None:
    ran = moltghost("agent", "logs", "my-agent", "--lines", "5")
    assert ran.code == 0, ran.err
    heading, first, second, *rest = ran.out.splitlines()
    assert heading.endswith("/ollama")
    assert (first.endswith("wrote 3"), second.endswith("wrote 4")) == (True, True)
    assert [line.rpartition("/")[2] for line in rest] == ["gate"]
    assert "has not started yet" in ran.err


@pytest.mark.usefixtures("running")
def test_one_container_is_followed(moltghost: Command) -> None:
    ran = moltghost("agent", "logs", "my-agent", "-c", "ollama", "--follow")
    assert ran.code == 0, ran.err
    assert ran.out.startswith("ollama of ")
    assert ran.out.endswith("goes on\n")


@pytest.mark.usefixtures("running")
def test_json_names_pod_and_container_of_each_line(moltghost: Command) -> None:
    ran = moltghost("agent", "logs", "my-agent", "-c", "ollama", "--json")
    assert ran.out.count('"container": "ollama"') == 2


@pytest.mark.usefixtures("running")
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["my-agent", "--follow"], "--follow takes one container of ollama, gate"),
        (["my-agent", "-c", "olama"], "has no container olama"),
        (["nobody"], "there is no agent nobody"),
    ],
)
def test_what_has_no_log_is_refused(arguments: list[str], said: str, moltghost: Command) -> None:
    ran = moltghost("agent", "logs", *arguments)
    assert ran.code == 2
    assert said in ran.err


@pytest.mark.usefixtures("deployed")
def test_a_simulated_agent_has_no_logs(moltghost: Command) -> None:
    ran = moltghost("agent", "logs", "my-agent")
    assert ran.code == 2
    assert "its node is simulated, so no container runs" in ran.err
