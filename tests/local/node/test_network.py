from __future__ import annotations

import ipaddress
import json
from pathlib import Path

import pytest

from moltghost.errors import Failed
from moltghost.local.node import network

HOME = Path("/home/user/cluster")


@pytest.fixture
def routes(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, str]]:
    """This machine's routes, as ``ip -json route`` lists them."""
    listed: list[dict[str, str]] = [
        {"dst": "default", "dev": "eth0"},
        {"dst": "192.168.1.0/24", "dev": "eth0"},
        {"dst": "127.0.0.1", "dev": "lo", "type": "local"},
    ]
    monkeypatch.setattr(network, "_run", lambda *_command, **_options: json.dumps(listed))
    return listed


def test_a_cable_has_two_ends_in_the_range_for_measurements(
    routes: list[dict[str, str]], tmp_path: Path
) -> None:
    cable = network.ensure_cable(HOME, tmp_path / "machine.json")
    assert routes
    assert cable.subnet.subnet_of(ipaddress.IPv4Network("198.18.0.0/15"))
    assert cable.near == str(cable.subnet[1])
    assert cable.far == str(cable.subnet[2])
    assert len(cable.name) <= 15  # IFNAMSIZ


def test_addresses_are_remembered(routes: list[dict[str, str]], tmp_path: Path) -> None:
    file = tmp_path / "machine.json"
    cable = network.ensure_cable(HOME, file)
    routes.append({"dst": str(cable.subnet), "dev": cable.name})
    assert network.ensure_cable(HOME, file) == cable == network.read_cable(HOME, file)


@pytest.mark.parametrize("bits", [16, 24, 30])
def test_addresses_that_another_route_takes_are_chosen_again(
    routes: list[dict[str, str]], tmp_path: Path, bits: int
) -> None:
    file = tmp_path / "machine.json"
    before = network.ensure_cable(HOME, file)
    taken = ipaddress.IPv4Network(f"{before.far}/{bits}", strict=False)
    routes.append({"dst": str(taken), "dev": "tun0"})
    assert not network.ensure_cable(HOME, file).subnet.overlaps(taken)


def test_clusters_have_other_names_and_addresses(
    routes: list[dict[str, str]], tmp_path: Path
) -> None:
    assert routes
    first = network.ensure_cable(HOME, tmp_path / "a.json")
    second = network.ensure_cable(HOME / "other", tmp_path / "b.json")
    assert first.name != second.name
    assert first.subnet != second.subnet


def test_no_addresses_left_is_an_error_that_says_so(
    routes: list[dict[str, str]], tmp_path: Path
) -> None:
    routes.append({"dst": "198.0.0.0/8", "dev": "tun0"})
    with pytest.raises(Failed, match=r"every address of 198\.18\.0\.0/15 is in a route"):
        network.ensure_cable(HOME, tmp_path / "machine.json")


@pytest.mark.parametrize("content", ["", "{ broken", '{"subnet": null}', "[]"])
def test_a_cluster_without_addresses_has_no_cable(tmp_path: Path, content: str) -> None:
    file = tmp_path / "machine.json"
    file.write_text(content)
    assert network.read_cable(HOME, file) is None


def test_packets_of_pods_stay_in_the_namespace() -> None:
    assert 'oifname "eth0" drop' in network._RULES
    assert 'iifname "eth0" drop' in network._RULES
