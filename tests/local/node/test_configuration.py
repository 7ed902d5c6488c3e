from __future__ import annotations

import ipaddress
import json
import tarfile
import tomllib
from pathlib import Path
from typing import Any

import pytest

from moltghost.local.build import programs
from moltghost.local.cluster import credentials
from moltghost.local.cluster.certificates import ensure_certificates
from moltghost.local.cluster.layout import Layout
from moltghost.local.cluster.ports import ensure_ports
from moltghost.local.cluster.processes import Command
from moltghost.local.node import configuration, images, network, requirements
from moltghost.local.node.components import NodeComponents
from moltghost.local.node.configuration import Configuration
from moltghost.local.simulated import kwok

CABLE = network.Cable("mg-0123abcd", ipaddress.IPv4Network("198.18.7.0/24"))
INIT_PID = 4711


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    layout = Layout(tmp_path)
    ensure_certificates(
        layout.certificates.home, service_address="10.96.0.1", node_address=CABLE.far
    )
    return layout


@pytest.fixture
def configured(layout: Layout) -> Configuration:
    return Configuration(
        layout=layout,
        cable=CABLE,
        cgroup="moltghost-0123abcd",
        proxy_kubeconfig=layout.user_kubeconfig(credentials.KUBE_PROXY.name),
        dns_kubeconfig=layout.user_kubeconfig(credentials.COREDNS.name),
    )


@pytest.fixture
def commands(layout: Layout, configured: Configuration) -> list[Command]:
    users = (credentials.KUBELET, credentials.KUBE_PROXY, credentials.COREDNS, credentials.VOLUMES)
    for file in [*configured.files(), *(layout.user_kubeconfig(user.name) for user in users)]:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("content")
    components = NodeComponents(layout, ensure_ports(layout.ports, running=()), CABLE, configured)
    inside = ("containerd", "kubelet", "kube_proxy", "coredns", "forward")
    made = [getattr(components, name)(INIT_PID) for name in inside]
    return [components.init("/usr/bin/python3"), components.volumes(), *made]


def read(configured: Configuration, name: str) -> Any:
    return json.loads(configured.files()[configured.file(name)])


def test_the_kubelet_never_evicts_for_a_share_of_the_disk(configured: Configuration) -> None:
    kubelet = read(configured, "kubelet.json")
    assert not any("%" in threshold for threshold in kubelet["evictionHard"].values())
    assert kubelet["imageGCHighThresholdPercent"] == 100


def test_the_kubelet_trusts_the_api_server_and_nobody_else(configured: Configuration) -> None:
    kubelet = read(configured, "kubelet.json")
    assert kubelet["authentication"]["anonymous"] == {"enabled": False}
    assert kubelet["authorization"] == {"mode": "Webhook"}
    assert kubelet["readOnlyPort"] == 0


def test_the_kubelet_changes_no_setting_of_this_machine(configured: Configuration) -> None:
    kubelet = read(configured, "kubelet.json")
    assert kubelet["protectKernelDefaults"] is True
    assert kubelet["makeIPTablesUtilChains"] is False
    assert set(read(configured, "kube-proxy.json")["conntrack"].values()) == {0, "0s"}


def test_everything_in_the_namespace_listens_on_its_own_addresses(
    configured: Configuration,
) -> None:
    text = "".join(configured.files().values())
    assert "0.0.0.0" not in text.replace("0.0.0.0/0", "")  # noqa: S104 - it must not be there
    assert f"bind {CABLE.far}" in configured.files()[configured.file("Corefile")]


@pytest.mark.parametrize("capable", [True, False])
def test_scores_are_lowered_where_that_is_allowed(
    configured: Configuration, monkeypatch: pytest.MonkeyPatch, capable: bool
) -> None:
    monkeypatch.setattr(requirements, "has_capability", lambda _number: capable)
    parsed = tomllib.loads(configured.files()[configured.file("containerd.toml")])
    runtime = parsed["plugins"]["io.containerd.cri.v1.runtime"]
    assert runtime["restrict_oom_score_adj"] is not capable


def test_containerd_finds_the_plugins_of_the_pods_network(configured: Configuration) -> None:
    parsed = tomllib.loads(configured.files()[configured.file("containerd.toml")])
    folders = parsed["plugins"]["io.containerd.cri.v1.runtime"]["cni"]["bin_dirs"]
    (plugin,) = read(configured, "cni/10-pods.conflist")["plugins"]
    for name in (plugin["type"], plugin["ipam"]["type"], "loopback"):
        assert str(programs.binary(name).parent) in folders


def test_something_is_kept_back_on_a_small_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = {"SC_PAGE_SIZE": 4096, "SC_PHYS_PAGES": 4 * 1024**3 // 4096}
    monkeypatch.setattr("os.sysconf", sizes.__getitem__)
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    assert configuration.reserved() == {"cpu": "400m", "memory": "2048Mi"}


def test_only_one_process_has_namespaces_of_its_own_and_others_join_it(
    commands: list[Command],
) -> None:
    assert {command.name: command.namespaces for command in commands} == {
        "machine": "new",
        "machine-volumes": "",
        "machine-forward": "",
        "containerd": "4711",
        "kubelet": "4711",
        "kube-proxy": "4711",
        "coredns": "4711",
    }


def test_no_token_or_key_is_visible(commands: list[Command], layout: Layout) -> None:
    secrets = credentials.ensure_tokens(layout.tokens).values()
    assert len(commands) == 7
    for command in commands:
        visible = " ".join([*command.arguments, *command.environment.values()])
        assert not any(secret in visible for secret in secrets)


def test_the_nodes_name_is_the_one_that_the_stages_leave_alone() -> None:
    stage = kwok.STAGES / "volume-provision.yaml"
    assert f"- {configuration.NAME}\n" in stage.read_text()
    assert credentials.KUBELET.name == f"system:node:{configuration.NAME}"


def test_the_first_image_is_an_archive_with_one_program(tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_bytes(b"binary")
    target = tmp_path / "image.tar"
    images.write_program_image(target, "example.org/image:1", program, "pause")
    with tarfile.open(target) as archive:
        names = archive.getnames()
        index = json.load(archive.extractfile("index.json"))  # type: ignore[arg-type]
        (manifest,) = index["manifests"]
        assert manifest["annotations"] == {"io.containerd.image.name": "example.org/image:1"}
        assert f"blobs/{manifest['digest'].replace(':', '/')}" in names
    assert "oci-layout" in names
