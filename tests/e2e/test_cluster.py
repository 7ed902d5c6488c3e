"""The embedded cluster for real: what it simulates, what it survives, what it leaves behind."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import yaml

from moltghost.kube.client import Client
from moltghost.kube.errors import ApiError, Unauthorized
from moltghost.kube.transport import Object
from moltghost.local.build import programs
from moltghost.local.cluster.cluster import EmbeddedCluster
from moltghost.local.cluster.ports import LOOPBACK, PORTS
from moltghost.models.hardware import instance_type
from moltghost.progress import Event
from moltghost.sizing.nodes import allocatable, capacity

from .cluster_fixture import RunningCluster

pytestmark = pytest.mark.e2e

MANAGER = "test"
TYPE = "g6e.2xlarge"
OBJECTS = (Path(__file__).parent / "data" / "gpu-pod.yaml").read_text()


def eventually(condition: Callable[[], Any], seconds: float = 30.0) -> Any:
    deadline = time.monotonic() + seconds
    while True:
        try:
            if result := condition():
                return result
        except ApiError:
            pass
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.1)


def processes_of(home: Path) -> dict[int, str]:
    """Every process on this machine with a path below ``home`` in its arguments."""
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                arguments = (entry / "cmdline").read_bytes().decode(errors="replace")
                environment = (entry / "environ").read_bytes().decode(errors="replace")
            except OSError:
                continue
            if f"{home}/" in arguments or f"HOME={home}\0" in environment:
                found[int(entry.name)] = arguments.partition("\0")[0]
    return found


def kill(cluster: EmbeddedCluster, *names: str) -> None:
    for process in cluster.status().processes:
        if process.name in names:
            os.kill(process.pid, signal.SIGKILL)
    eventually(lambda: {p.name for p in cluster.status().processes if not p.alive} >= {*names})


@pytest.fixture(scope="module")
def breakable(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedCluster]:
    """A second cluster beside the session's, which tests may break; they call ``up`` first."""
    cluster = EmbeddedCluster(tmp_path_factory.mktemp("breakable") / "cluster", machine=False)
    try:
        yield cluster
    finally:
        cluster.down()


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[EmbeddedCluster]:
    """A cluster that does not exist yet, in a folder of its own."""
    cluster = EmbeddedCluster(tmp_path / "state" / "cluster", machine=False)
    try:
        yield cluster
    finally:
        cluster.down()


@pytest.fixture(scope="module")
def namespace(running_cluster: RunningCluster) -> Iterator[str]:
    client = running_cluster.client
    objects = list(yaml.safe_load_all(OBJECTS))
    for obj in objects:
        client.apply(obj, manager=MANAGER)
    yield "gpu-pod"
    for obj in reversed(objects):
        metadata = obj["metadata"]
        client.delete(obj["apiVersion"], obj["kind"], metadata["name"], metadata.get("namespace"))


@pytest.fixture(scope="module")
def pod(running_cluster: RunningCluster, namespace: str) -> Object:
    def ready() -> Object | None:
        for pod in running_cluster.client.list("v1", "Pod", namespace, labels={"app": "m"}):
            conditions = {c["type"]: c["status"] for c in pod["status"].get("conditions", [])}
            if conditions.get("Ready") == "True":
                return pod
        return None

    pod: Object = eventually(ready)
    return pod


@pytest.fixture(scope="module")
def node(running_cluster: RunningCluster, pod: Object) -> Object:
    node = running_cluster.client.get("v1", "Node", pod["spec"]["nodeName"])
    assert node
    return node


def test_karpenter_creates_the_node_that_a_gpu_pod_asks_for(node: Object) -> None:
    labels = node["metadata"]["labels"]
    assert labels["node.kubernetes.io/instance-type"] == TYPE
    assert labels["karpenter.sh/nodepool"] == "test-l40s"
    assert labels["karpenter.sh/capacity-type"] == "on-demand"
    assert labels["topology.kubernetes.io/zone"] in {"local-a", "local-b"}
    assert labels["kubernetes.io/arch"] == "amd64"
    assert labels["nvidia.com/gpu.present"] == "true"


def test_the_node_says_that_it_is_simulated(node: Object) -> None:
    assert node["metadata"]["annotations"]["kwok.x-k8s.io/node"] == "fake"
    assert node["status"]["nodeInfo"]["osImage"] == "simulated"


def test_the_node_leaves_to_pods_what_eks_leaves(node: Object) -> None:
    expected = allocatable(instance_type(TYPE))
    found = node["status"]["allocatable"]
    assert found["cpu"] == f"{expected.cpu_millis}m"
    assert int(found["memory"]) == expected.memory_bytes
    assert int(found["ephemeral-storage"]) == expected.ephemeral_storage_bytes
    assert found["nvidia.com/gpu"] == "1"
    assert int(found["pods"]) == expected.pods


def test_the_pool_counts_the_whole_node_against_its_limits(
    running_cluster: RunningCluster, node: Object
) -> None:
    whole = capacity(instance_type(TYPE))
    assert node["status"]["capacity"]["cpu"] == str(whole.cpu_millis // 1000)

    def counted() -> bool:
        pool = running_cluster.client.get("karpenter.sh/v1", "NodePool", "test-l40s")
        used = (pool or {}).get("status", {}).get("resources", {})
        return (used.get("nvidia.com/gpu"), used.get("cpu")) == ("1", "8")

    eventually(counted)


def test_sidecars_run_and_plain_init_containers_have_ended(pod: Object) -> None:
    containers = {c["name"]: c for c in pod["status"]["initContainerStatuses"]}
    assert "terminated" in containers["weights"]["state"]
    for name in ("ollama", "loader"):
        assert containers[name]["started"]
        assert containers[name]["ready"]
        assert "running" in containers[name]["state"]
    (gate,) = pod["status"]["containerStatuses"]
    assert gate["started"]
    assert gate["ready"]


def test_a_job_succeeds_and_its_sidecar_ends_with_it(
    running_cluster: RunningCluster, namespace: str
) -> None:
    def succeeded() -> bool:
        found = running_cluster.client.get("batch/v1", "Job", "build", namespace) or {}
        return bool(found.get("status", {}).get("succeeded") == 1)

    eventually(succeeded)
    labels = {"batch.kubernetes.io/job-name": "build"}
    (pod,) = running_cluster.client.list("v1", "Pod", namespace, labels=labels)
    statuses = [*pod["status"]["containerStatuses"], *pod["status"]["initContainerStatuses"]]
    assert [list(status["state"]) for status in statuses] == [["terminated"], ["terminated"]]


@pytest.mark.parametrize("claim", ["first-consumer", "immediate"])
def test_volumes_are_bound_in_both_modes(
    running_cluster: RunningCluster, pod: Object, claim: str
) -> None:
    namespace = pod["metadata"]["namespace"]

    def bound() -> bool:
        found = running_cluster.client.get("v1", "PersistentVolumeClaim", claim, namespace)
        return bool(found and found["status"]["phase"] == "Bound")

    eventually(bound)


def test_a_pod_that_breaks_the_restricted_profile_is_refused(
    running_cluster: RunningCluster, namespace: str
) -> None:
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "root", "namespace": namespace},
        "spec": {"containers": [{"name": "c", "image": "example/c"}]},
    }
    with pytest.raises(ApiError, match="violates PodSecurity"):
        running_cluster.client.create(pod, manager=MANAGER)


def test_an_unknown_field_is_refused(running_cluster: RunningCluster, namespace: str) -> None:
    config = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "typo", "namespace": namespace},
        "dta": {},
    }
    with pytest.raises(ApiError, match='unknown field "dta"'):
        running_cluster.client.create(config, manager=MANAGER)


def test_the_delay_until_ready_can_be_changed_while_it_runs(
    running_cluster: RunningCluster, pod: Object
) -> None:
    client, namespace = running_cluster.client, pod["metadata"]["namespace"]
    running_cluster.embedded.set_simulated_ready_delay(4.0)
    try:
        client.delete("v1", "Pod", pod["metadata"]["name"], namespace)
        deployment = ("apps/v1", "Deployment", "model-server", namespace)

        def ready_replicas() -> int:
            found = client.get(*deployment) or {}
            return int(found.get("status", {}).get("readyReplicas", 0))

        eventually(lambda: ready_replicas() == 0)
        begin = time.monotonic()
        eventually(lambda: ready_replicas() == 1)
        assert 3.0 < time.monotonic() - begin < 15.0
    finally:
        running_cluster.embedded.set_simulated_ready_delay(1.0)


def test_a_deleted_workload_leaves_no_pod_volume_or_node(breakable: EmbeddedCluster) -> None:
    client = Client(breakable.up().kubeconfig)
    for obj in yaml.safe_load_all(OBJECTS):
        client.apply(obj, manager=MANAGER)
    eventually(lambda: client.list("v1", "PersistentVolume"))
    eventually(lambda: client.list("v1", "Node"))
    client.delete("v1", "Namespace", "gpu-pod")
    eventually(lambda: client.get("v1", "Namespace", "gpu-pod") is None)
    eventually(lambda: not client.list("v1", "PersistentVolume"))
    eventually(lambda: not client.list("v1", "Node"), seconds=90)  # Karpenter waits 15 s and more
    client.close()


def test_a_killed_process_is_named_and_restarted_and_the_data_is_still_there(
    breakable: EmbeddedCluster,
) -> None:
    before = breakable.up()
    client = Client(before.kubeconfig)
    config = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "kept", "namespace": "default"},
        "data": {"answer": "42"},
    }
    client.create(config, manager=MANAGER)
    killed = ("etcd", "kube-apiserver", "kwok")
    kill(breakable, *killed)

    dead = breakable.status()
    assert not dead.running
    assert {p.name for p in dead.processes if not p.alive} == set(killed)
    assert dead.cluster_uid == ""

    events: list[Event] = []
    after = EmbeddedCluster(before.home, report=events.append).up()
    restarted = {e.task: e.detail for e in events if e.state == "started"}
    assert set(restarted) == {f"start {name}" for name in killed}
    assert all("it had died (pid " in detail for detail in restarted.values())
    assert after.running
    assert after.cluster_uid == before.cluster_uid
    found = client.get("v1", "ConfigMap", "kept", "default")
    assert found
    assert found["data"] == {"answer": "42"}
    client.close()


def test_a_process_that_hangs_is_replaced(breakable: EmbeddedCluster) -> None:
    before = {process.name: process.pid for process in breakable.up().processes}
    os.kill(before["kwok"], signal.SIGSTOP)
    after = breakable.up()
    assert after.running
    pids = {process.name: process.pid for process in after.processes}
    assert pids.pop("kwok") != before.pop("kwok")
    assert pids == before


def test_a_port_taken_meanwhile_is_chosen_again_and_the_data_is_still_there(
    breakable: EmbeddedCluster,
) -> None:
    before = breakable.up()
    port = int(before.server.rpartition(":")[2])
    kill(breakable, *PORTS)
    with socket.create_server((LOOPBACK, port)):
        after = breakable.up()
        assert after.running
        assert after.server != before.server
        assert json.loads(after.kubeconfig.read_text())["clusters"][0]["cluster"]["server"] == (
            after.server
        )
        assert after.cluster_uid == before.cluster_uid


def test_two_clusters_run_side_by_side(
    running_cluster: RunningCluster, breakable: EmbeddedCluster
) -> None:
    assert breakable.up().cluster_uid != running_cluster.status.cluster_uid
    breakable.down()
    assert running_cluster.embedded.status().running


def test_up_twice_at_once_makes_one_cluster(fresh: EmbeddedCluster) -> None:
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(lambda cluster: cluster.up(), (fresh, fresh))
    assert first.running
    assert first.processes == second.processes
    assert len(processes_of(first.home)) == len(PORTS)


def test_an_up_that_was_killed_is_completed_by_the_next(fresh: EmbeddedCluster) -> None:
    home = fresh.status().home
    script = (
        "import os, signal, sys; from pathlib import Path\n"
        "from moltghost.local.cluster.cluster import EmbeddedCluster\n"
        "def report(event):\n"
        "    if event.task == 'start kube-apiserver': os.kill(os.getpid(), signal.SIGKILL)\n"
        "EmbeddedCluster(Path(sys.argv[1]), report=report, machine=False).up()\n"
    )
    killed = subprocess.run([sys.executable, "-c", script, str(home)])
    assert killed.returncode == -signal.SIGKILL
    status = fresh.up()
    assert status.running
    assert set(processes_of(home)) == {process.pid for process in status.processes}


def test_down_leaves_no_process_and_no_file(fresh: EmbeddedCluster) -> None:
    status = fresh.up()
    removed = fresh.down()
    assert set(removed) == {*PORTS, str(status.home)}
    assert processes_of(status.home) == {}
    assert list(status.home.parent.iterdir()) == []
    assert not fresh.status().running


def test_a_second_up_changes_nothing(running_cluster: RunningCluster) -> None:
    events: list[Event] = []
    status = EmbeddedCluster(running_cluster.status.home, report=events.append).up()
    assert {event.state for event in events} == {"cached"}
    assert status.processes == running_cluster.status.processes


def test_nobody_gets_in_without_a_token(running_cluster: RunningCluster) -> None:
    config = json.loads(running_cluster.status.kubeconfig.read_text())
    config["users"][0]["user"] = {}
    anonymous = Client(json.dumps(config, indent=1))
    with pytest.raises(Unauthorized, match="Unauthorized"):
        anonymous.get("v1", "Namespace", "default")
    anonymous.close()


def test_everything_listens_on_loopback_only(running_cluster: RunningCluster) -> None:
    inodes = {}
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            listening = fields[3] == "0A"
            if listening:
                inodes[fields[9]] = fields[1].partition(":")[0]
    addresses = set()
    for process in running_cluster.embedded.status().processes:
        for descriptor in Path(f"/proc/{process.pid}/fd").iterdir():
            target = str(descriptor.readlink())
            if target.startswith("socket:[") and target[8:-1] in inodes:
                addresses.add(inodes[target[8:-1]])
    assert addresses == {"0100007F"}  # 127.0.0.1 in the kernel's notation


def test_every_file_and_folder_is_private(running_cluster: RunningCluster) -> None:
    home = running_cluster.status.home
    modes = {stat.S_IMODE(path.stat().st_mode) & 0o077 for path in [home, *home.rglob("*")]}
    assert modes == {0}


def test_kubectl_reads_the_kubeconfig(running_cluster: RunningCluster) -> None:
    command = [str(programs.binary("kubectl")), "--kubeconfig"]
    command += [str(running_cluster.status.kubeconfig), "get", "--raw", "/version"]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert json.loads(output)["gitVersion"] == programs.kubernetes_version()
