from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest

from moltghost.errors import ExitCode
from moltghost.images import store
from moltghost.images.registry import Registry
from tests.cli.command import Command
from tests.examples import PROJECT
from tests.images.examples import small_image
from tests.images.registry_server import PASSWORD, USER, State, registry


@pytest.fixture(autouse=True)
def _empty_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture
def server(
    moltghost: Command, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[State]:
    """The registry of `prod`, and our images as archives that are built."""
    shutil.copy(PROJECT / "Pulumi.prod.yaml", moltghost.project)
    shutil.copy(PROJECT / "Pulumi.platform.prod.yaml", moltghost.project)
    image = small_image(tmp_path_factory.mktemp("archive") / "a")
    with registry() as (host, state):
        state.challenge = "Basic"
        monkeypatch.setattr(store, "ensure_built", lambda _report, names: [image for _ in names])
        monkeypatch.setattr(
            "moltghost.lifecycle.images._connect",
            lambda _cloud: Registry(host, lambda: (USER, PASSWORD)),
        )
        yield state


def test_the_list_marks_what_is_substituted(moltghost: Command) -> None:
    ran = moltghost("images", "list")
    [ollama] = [line for line in ran.out.splitlines() if line.startswith("ollama")]
    assert "moltghost.local/ollama:0.17.4-cpu" in ollama
    assert "docker.io/ollama/ollama:0.33.3 (substituted)" in ollama
    assert "not built" in ollama
    assert ran.out.count("(substituted)") == 1
    data = moltghost("images", "list", "--json").data
    assert [(each["name"], each["substituted"], each["built"]) for each in data] == [
        ("ollama", True, False),
        ("gate", False, False),
        ("openclaw", False, False),
        ("tools", False, False),
    ]


def test_publishing_says_what_went_and_what_is_to_be_copied(
    moltghost: Command, server: State
) -> None:
    ran = moltghost("images", "publish", "prod", "--yes")
    assert ran.code == ExitCode.DONE
    assert "moltghost-prod/gate:2.11.9@sha256:" in ran.out
    assert (
        "crane copy docker.io/ollama/ollama:0.33.3 "
        "111122223333.dkr.ecr.us-east-1.amazonaws.com/moltghost-prod/ollama:0.33.3" in ran.out
    )
    assert "was there already" in moltghost("images", "publish", "prod", "--yes").out
    data = moltghost("images", "publish", "prod", "--yes", "--json").data
    assert [each["pushed"] for each in data["published"]] == [False, False]
    assert len(data["to_copy"]) == 4
    assert PASSWORD not in ran.out + ran.err
    assert server.count("PATCH") == 6


def test_nothing_is_published_unasked(moltghost: Command, server: State) -> None:
    ran = moltghost("images", "publish", "prod")
    assert ran.code == ExitCode.REFUSED
    assert server.asked == []


def test_pinning_what_is_not_there_is_refused(moltghost: Command, server: State) -> None:
    ran = moltghost("images", "pin", "prod")
    assert ran.code == ExitCode.REFUSED
    assert "has no moltghost-prod/ollama:0.33.3, moltghost-prod/gate:2.11.9" in ran.err
    assert server.asked


def test_pinning_shows_the_digests(moltghost: Command, server: State) -> None:
    for reference in (
        "ollama:0.33.3",
        "gate:2.11.9",
        "openclaw:2026.9.6",
        "agent-tools:0.1.0",
        "k8s-device-plugin:v0.20.0",
        "dcgm-exporter:4.4.1-4.6.0-ubuntu22.04",
    ):
        name, _, tag = reference.partition(":")
        server.manifests[f"moltghost-prod/{name}", tag] = b"{}"
    ran = moltghost("images", "pin", "prod")
    assert ran.code == ExitCode.DONE
    assert (
        ran.out.count("sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a")
        == 6
    )
    assert "Pulumi.prod.yaml" in ran.out
    digests = moltghost("images", "pin", "prod", "--json").data["image_digests"]
    assert list(digests) == [each for each in digests if f"{each}: {digests[each]}" in ran.out]
    listed = moltghost("images", "list", "--env", "prod").out
    assert listed.count("sha256:44136fa355b3") == 6
