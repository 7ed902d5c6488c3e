from __future__ import annotations

import socket
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from moltghost.local.cluster.ports import LOOPBACK, NODE_PORTS, PORTS, ensure_ports, read_ports


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ports.json"


@pytest.fixture
def taken(path: Path) -> Iterator[int]:
    port = ensure_ports(path, running=())["kube-apiserver"]
    with socket.create_server((LOOPBACK, port)):
        yield port


def test_every_process_gets_distinct_ports_that_are_remembered(path: Path) -> None:
    ports = ensure_ports(path, running=())
    processes = {**PORTS, **NODE_PORTS}
    assert set(ports) == {name for names in processes.values() for name in names}
    assert len(set(ports.values())) == len(ports)
    assert ensure_ports(path, running=()) == ports == read_ports(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_port_that_another_program_took_is_chosen_again_and_only_that(
    path: Path, taken: int
) -> None:
    before = read_ports(path)
    after = ensure_ports(path, running=())
    assert after["kube-apiserver"] != taken
    assert {n: p for n, p in after.items() if n != "kube-apiserver"} == {
        n: p for n, p in before.items() if n != "kube-apiserver"
    }


def test_a_port_that_our_own_process_holds_is_kept(path: Path, taken: int) -> None:
    assert ensure_ports(path, running=["kube-apiserver"])["kube-apiserver"] == taken


def test_a_broken_file_counts_as_none(path: Path) -> None:
    path.write_text("{")
    assert read_ports(path) == {}
