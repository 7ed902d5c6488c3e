"""The machine's own node for real: pods, volumes, Services, and what remains of them."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import urllib.request
from contextlib import suppress
from pathlib import Path

import pytest

from moltghost.kube.transport import Object
from moltghost.local.cluster.cluster import EmbeddedCluster
from moltghost.local.cluster.ports import LOOPBACK, PORTS
from moltghost.local.node import objects
from moltghost.local.node.machine import PROCESSES
from moltghost.local.node.requirements import unavailable

from .node_fixture import NAMESPACE, PROBE_IMAGE, NodeCluster, eventually, node_cluster

__all__ = ["node_cluster"]

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(bool(unavailable()), reason=f"no node on this machine: {unavailable()}"),
]


def ready_pods(cluster: NodeCluster) -> dict[str, Object]:
    """The pods that are ready, by their app or name."""
    found = {}
    for pod in cluster.pods():
        conditions = {c["type"]: c["status"] for c in pod["status"].get("conditions", [])}
        if conditions.get("Ready") == "True" and "deletionTimestamp" not in pod["metadata"]:
            found[pod["metadata"].get("labels", {}).get("app", pod["metadata"]["name"])] = pod
    return found


def containers(pod: Object) -> set[str]:
    statuses = pod["status"]["containerStatuses"] + pod["status"].get("initContainerStatuses", [])
    return {status["containerID"] for status in statuses}


def test_the_node_is_one_of_the_cluster_and_not_simulated(node_cluster: NodeCluster) -> None:
    client = node_cluster.client()
    node = client.get("v1", "Node", "machine")
    client.close()
    assert node
    labels = node["metadata"]["labels"]
    assert labels["karpenter.sh/nodepool"] == "machine"
    assert labels["node.kubernetes.io/instance-type"] == "machine"
    assert labels["topology.kubernetes.io/zone"] == "local-a"
    assert node["spec"]["taints"] == [
        {"key": "moltghost.dev/pool", "value": "machine", "effect": "NoSchedule"}
    ]
    assert "kwok.x-k8s.io/node" not in node["metadata"]["annotations"]
    info = node["status"]["nodeInfo"]
    assert info["containerRuntimeVersion"].startswith("containerd://")
    assert info["kernelVersion"] == os.uname().release
    addresses = {each["type"]: each["address"] for each in node["status"]["addresses"]}
    assert addresses["InternalIP"] == node_cluster.embedded.status().node_address


def test_something_is_left_for_the_control_plane(node_cluster: NodeCluster) -> None:
    client = node_cluster.client()
    status = (client.get("v1", "Node", "machine") or {})["status"]
    client.close()

    def memory_bytes(key: str) -> int:
        return int(status[key]["memory"].removesuffix("Ki")) * 1024

    assert memory_bytes("capacity") - memory_bytes("allocatable") >= 2 * 1024**3


def test_every_process_is_in_the_status_with_its_health(node_cluster: NodeCluster) -> None:
    status = node_cluster.embedded.status()
    assert [process.name for process in status.processes] == [*PORTS, *PROCESSES]
    assert status.running


def test_sidecars_are_ready_before_what_comes_after_them(node_cluster: NodeCluster) -> None:
    assert node_cluster.run("deploy/server", "read", "/shared/order") == "sidecar\nafter\n"


def test_a_pod_finds_a_service_by_its_name(node_cluster: NodeCluster) -> None:
    url = f"http://server.{NAMESPACE}.svc.cluster.local/"
    assert node_cluster.run("client", "get", url) == "hello"
    assert node_cluster.run("client", "get", "http://server/") == "hello"


def test_a_pod_reaches_itself_through_its_service(node_cluster: NodeCluster) -> None:
    assert node_cluster.run("deploy/server", "get", "http://server/") == "hello"


def test_logs_and_forwarded_ports_come_through_the_api_server(node_cluster: NodeCluster) -> None:
    logs = node_cluster.kubectl("logs", "deploy/server", "--container", "server")
    assert logs == "serving hello\n"
    command = node_cluster.command("port-forward", "deploy/server", ":8080")
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as forwarding:
        assert forwarding.stdout
        match = re.search(r":(\d+) ->", forwarding.stdout.readline())
        assert match
        url = f"http://{LOOPBACK}:{match[1]}/"
        with urllib.request.urlopen(url, timeout=10) as response:
            assert response.read() == b"hello"
        forwarding.terminate()


def test_the_kubelet_lets_nobody_else_in(node_cluster: NodeCluster) -> None:
    address = node_cluster.embedded.status().node_address
    code = (
        "import ssl, urllib.request, urllib.error\n"
        "context = ssl._create_unverified_context()\n"
        "try: urllib.request.urlopen('https://%s:10250/pods', context=context)\n"
        "except urllib.error.HTTPError as error: print(error.code)\n"
    )
    done = subprocess.run(["python3", "-c", code % address], capture_output=True, text=True)  # noqa: S607
    assert done.stdout == "401\n"


def test_processes_are_confined_as_declared(node_cluster: NodeCluster) -> None:
    assert node_cluster.run("deploy/server", "id") == "1000 1000 [1000]\n"
    refused = node_cluster.run("deploy/server", "append", "/etc/file", "x", check=False)
    assert "read-only file system" in refused


@pytest.mark.parametrize("address", ["192.0.2.1:80", "1.1.1.1:443", "8.8.8.8:53"])
def test_there_is_no_way_out_for_a_pod(node_cluster: NodeCluster, address: str) -> None:
    refused = node_cluster.run("client", "dial", address, check=False)
    assert re.search(r"unreachable|i/o timeout", refused)


def test_a_pod_does_not_reach_this_machine(node_cluster: NodeCluster) -> None:
    node_address = node_cluster.embedded.status().node_address
    near = node_address.removesuffix("2") + "1"
    with socket.create_server((near, 0)) as server:
        port = server.getsockname()[1]
        socket.create_connection((near, port), timeout=5).close()
        refused = node_cluster.run("client", "dial", f"{near}:{port}", check=False)
    assert re.search(r"unreachable|i/o timeout", refused)


def test_other_domains_do_not_exist_which_is_said_at_once(node_cluster: NodeCluster) -> None:
    refused = node_cluster.run("client", "get", "http://example.com/", check=False)
    assert "no such host" in refused


def test_pods_reach_what_is_published_under_a_service(node_cluster: NodeCluster) -> None:
    client = node_cluster.client()
    address = node_cluster.embedded.status().node_address
    name = objects.publish_service(client, "kubelet-health", address, 10248)
    client.close()
    assert name == "kubelet-health.moltghost-system.svc.cluster.local"
    url = f"http://{name}:10248/healthz"
    eventually(lambda: node_cluster.run("client", "get", url, check=False) == "ok", 30)


def test_a_volume_is_kept_over_pods_and_is_its_groups(node_cluster: NodeCluster) -> None:
    node_cluster.run("deploy/server", "append", "/data/file", "kept")
    (volume,) = (node_cluster.home / "node" / "volumes").iterdir()
    assert (volume / "file").read_text() == "kept\n"
    assert (volume.stat().st_gid, (volume / "file").stat().st_uid) == (1000, 1000)
    before = ready_pods(node_cluster)["server"]["metadata"]["uid"]
    node_cluster.kubectl("rollout", "restart", "deployment/server")
    node_cluster.kubectl("rollout", "status", "deployment/server", "--timeout=50s")
    eventually(lambda: ready_pods(node_cluster).get("server", {}))
    assert ready_pods(node_cluster)["server"]["metadata"]["uid"] != before
    assert node_cluster.run("deploy/server", "read", "/data/file") == "kept\n"


def test_images_are_known_by_their_reference(node_cluster: NodeCluster) -> None:
    images = node_cluster.embedded.machine.images
    assert images.has_image(PROBE_IMAGE)
    assert not images.has_image(PROBE_IMAGE + "0")


def test_claims_of_other_nodes_are_still_simulated(node_cluster: NodeCluster) -> None:
    client = node_cluster.client()
    claim = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {
            "name": "simulated",
            "namespace": NAMESPACE,
            "annotations": {"volume.kubernetes.io/selected-node": "another"},
        },
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "storageClassName": "real",
            "resources": {"requests": {"storage": "1Gi"}},
        },
    }
    client.apply(claim, manager="test")

    def bound() -> str:
        found = client.get("v1", "PersistentVolumeClaim", "simulated", NAMESPACE) or {}
        return str(found.get("spec", {}).get("volumeName", ""))

    volume = client.get("v1", "PersistentVolume", eventually(bound))
    assert volume
    assert "hostPath" in volume["spec"]
    client.delete("v1", "PersistentVolumeClaim", "simulated", NAMESPACE)
    client.close()


@pytest.mark.parametrize("name", ["kubelet", "containerd"])
def test_pods_outlive_a_restart_of(node_cluster: NodeCluster, name: str) -> None:
    before = {app: containers(pod) for app, pod in ready_pods(node_cluster).items()}
    assert set(before) == {"client", "server"}
    kill(node_cluster.embedded, name)
    assert node_cluster.embedded.up().running
    eventually(lambda: node_cluster.run("client", "get", "http://server/", check=False) == "hello")
    after = eventually(lambda: len(found := ready_pods(node_cluster)) == 2 and found)
    assert {app: containers(pod) for app, pod in after.items()} == before


@pytest.mark.parametrize("names", [["machine"], [*PORTS, *PROCESSES]], ids=["node", "everything"])
def test_up_brings_pods_back_after_a_sudden_death_of(
    node_cluster: NodeCluster, names: list[str]
) -> None:
    append = ("deploy/server", "append", "/data/survivor", "here")
    eventually(lambda: "error" not in node_cluster.run(*append, check=False))
    before = {app: containers(pod) for app, pod in ready_pods(node_cluster).items()}
    kill(node_cluster.embedded, *names)
    assert node_cluster.embedded.up().running

    def restarted() -> bool:
        pods = ready_pods(node_cluster)
        return set(pods) == set(before) and not any(
            containers(pod) & before[app] for app, pod in pods.items()
        )

    eventually(restarted, 90)
    # A kubelet that finds a pod's sandbox gone may start its containers twice.
    read = ("deploy/server", "read", "/data/survivor")
    eventually(lambda: "here" in node_cluster.run(*read, check=False))
    eventually(lambda: node_cluster.run("client", "get", "http://server/", check=False) == "hello")


def test_two_clusters_have_nodes_side_by_side(node_cluster: NodeCluster, tmp_path: Path) -> None:
    other = EmbeddedCluster(tmp_path / "cluster", machine=True)
    try:
        status = other.up()
        assert status.running
        assert status.node_address != node_cluster.embedded.status().node_address
    finally:
        other.down()
    assert node_cluster.embedded.status().running
    assert node_cluster.run("client", "get", "http://server/") == "hello"


def test_a_volume_goes_with_its_claim(node_cluster: NodeCluster) -> None:
    node_cluster.kubectl("scale", "deployment/server", "--replicas=0")
    node_cluster.kubectl("delete", "persistentvolumeclaim/data", "--timeout=50s")
    folder = node_cluster.home / "node" / "volumes"
    eventually(lambda: not list(folder.iterdir()), 30)
    client = node_cluster.client()
    eventually(lambda: not client.list("v1", "PersistentVolume"), 30)
    client.close()


def test_down_leaves_this_machine_as_it_was(tmp_path: Path) -> None:
    before = machine_state()
    cluster = EmbeddedCluster(tmp_path / "cluster", machine=True)
    try:
        pid = {each.name: each.pid for each in cluster.up().processes}["machine"]
        during = machine_state()
    finally:
        removed = cluster.down()
    assert {*PROCESSES} <= set(removed)
    # It is dead, and init may take a moment to notice.
    eventually(lambda: not Path(f"/proc/{pid}").exists(), 10)
    after = machine_state()
    for what, items in before.items():
        assert after[what] - items == set(), what
        assert what in {"mounts", "rules", "settings"} or during[what] > items, what
    assert list(tmp_path.iterdir()) == []


def machine_state() -> dict[str, set[str]]:
    """What a node could leave behind: nothing of this machine but what other clusters change."""

    def lines(*command: str) -> set[str]:
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        return set(done.stdout.splitlines())

    interfaces = {path.name for path in Path("/sys/class/net").iterdir()}
    cgroups = {str(path) for path in Path("/sys/fs/cgroup").glob("*/moltghost-*")}
    namespaces = lines("lsns", "--noheadings", "--output", "NS", "--type", "net")
    settings = lines("sysctl", "vm.overcommit_memory", "kernel.panic", "net.ipv4.ip_forward")
    folders = ("/var/lib/kubelet", "/var/lib/containerd", "/var/lib/cni", "/run/containerd")
    return {
        "interfaces": interfaces,
        "cgroups": cgroups,
        "namespaces": namespaces,
        "routes": lines("ip", "-4", "route", "show", "table", "all"),
        "mounts": {line.split()[4] for line in lines("cat", "/proc/self/mountinfo")},
        "rules": lines("nft", "list", "ruleset"),
        "settings": settings | {folder for folder in folders if Path(folder).exists()},
    }


def kill(cluster: EmbeddedCluster, *names: str) -> None:
    for process in cluster.status().processes:
        if process.name in names and process.alive:
            with suppress(ProcessLookupError):  # it has gone with another one
                os.kill(process.pid, signal.SIGKILL)
    eventually(lambda: {p.name for p in cluster.status().processes if not p.alive} >= {*names})
