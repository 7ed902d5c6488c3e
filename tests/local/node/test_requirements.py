from __future__ import annotations

from pathlib import Path

import pytest

from moltghost.local.node import requirements

BOOTSTRAP = Path(__file__).parents[3] / "tools" / "bootstrap.sh"


@pytest.fixture(autouse=True)
def capable(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine on which nothing is missing."""
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.setattr(requirements, "find_program", lambda name: f"/usr/sbin/{name}")
    monkeypatch.setattr(requirements, "has_capability", lambda _number: True)
    monkeypatch.setattr(requirements, "_controllers", lambda: {"cpu", "cpuset", "memory", "pids"})
    monkeypatch.setattr(requirements, "_missing_devices", lambda: "")


def test_a_machine_that_has_everything_can_have_a_node() -> None:
    assert requirements.unavailable() == ""


def test_another_system_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "darwin")
    assert requirements.unavailable() == "it needs Linux; this is darwin"


def test_a_user_is_told_to_be_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    assert requirements.unavailable() == "it needs root: run the command as root (sudo)"


def test_missing_programs_are_named_by_their_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requirements, "find_program", lambda name: "" if name == "nft" else name)
    assert requirements.unavailable() == "programs are missing: apt-get install nftables"


def test_missing_capabilities_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requirements, "has_capability", lambda number: number != 21)
    assert requirements.unavailable().startswith("root lacks CAP_SYS_ADMIN here")


def test_missing_controllers_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requirements, "_controllers", lambda: {"cpu", "cpuset", "memory"})
    assert "the cgroup controllers pids are not mounted" in requirements.unavailable()


def test_what_bootstrap_installs_is_what_is_needed() -> None:
    needed = " ".join(f"{name}:{package}" for name, package in requirements.PROGRAMS.items())
    assert f"for each in {needed}; do" in BOOTSTRAP.read_text()
