"""Images of an environment: listed, published to its registry, pinned in its config."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from moltghost.config import read_environment
from moltghost.errors import Refused
from moltghost.images import store
from moltghost.images.archive import Archive
from moltghost.images.registry import Registry
from moltghost.lifecycle.images import list_images, pin, publish
from moltghost.planning.aws.cloud import AwsCloudPlan
from moltghost.progress import silent
from tests.examples import PROJECT
from tests.images.examples import small_image
from tests.images.registry_server import PASSWORD, USER, State, digest_of, registry

TAGS = {
    "ollama": "0.33.3",
    "gate": "2.11.9",
    "openclaw": "2026.9.6",
    "agent-tools": "0.1.0",
    "k8s-device-plugin": "v0.20.0",
    "dcgm-exporter": "4.4.1-4.6.0-ubuntu22.04",
}


class Server:
    """The registry of environment `prod`."""

    def __init__(self, host: str, state: State) -> None:
        self.host, self.state = host, state
        state.challenge = "Basic"

    def connect(self, _plan: AwsCloudPlan) -> Registry:
        return Registry(self.host, lambda: (USER, PASSWORD))

    def put(self, name: str, tag: str, content: bytes) -> None:
        self.state.manifests[f"moltghost-prod/{name}", tag] = content


@pytest.fixture
def server() -> Iterator[Server]:
    with registry() as (host, state):
        yield Server(host, state)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for file in PROJECT.glob("Pulumi*.yaml"):
        shutil.copy(file, tmp_path / file.name)
    return tmp_path


@pytest.fixture
def archives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Archive]:
    """Archives of ours that are built already, in place of the real ones."""
    found = {name: small_image(tmp_path / name, name) for name in ("gate", "tools")}
    monkeypatch.setattr(store, "ensure_built", lambda _report, names: [found[n] for n in names])
    return found


def test_ours_are_published_and_upstreams_are_left_to_be_copied(
    project: Path, server: Server, archives: dict[str, Archive]
) -> None:
    published, others = publish(project, "prod", silent, server.connect)
    registry_name = "111122223333.dkr.ecr.us-east-1.amazonaws.com/moltghost-prod"
    assert [(each.reference, each.digest, each.pushed) for each in published] == [
        (f"{registry_name}/gate:2.11.9", archives["gate"].digest, True),
        (f"{registry_name}/agent-tools:0.1.0", archives["tools"].digest, True),
    ]
    assert {name for name, _tag in server.state.manifests} == {
        "moltghost-prod/gate",
        "moltghost-prod/agent-tools",
    }
    assert [each.source for each in others] == [
        "docker.io/ollama/ollama:0.33.3",
        "ghcr.io/openclaw/openclaw:2026.9.6",
        "nvcr.io/nvidia/k8s-device-plugin:v0.20.0",
        "nvcr.io/nvidia/k8s/dcgm-exporter:4.4.1-4.6.0-ubuntu22.04",
    ]


@pytest.mark.usefixtures("archives")
def test_publishing_again_sends_nothing(project: Path, server: Server) -> None:
    publish(project, "prod", silent, server.connect)
    server.state.asked.clear()
    published, _ = publish(project, "prod", silent, server.connect)
    assert [each.pushed for each in published] == [False, False]
    assert {method for method, _ in server.state.asked} == {"GET"}


@pytest.mark.usefixtures("archives")
def test_a_tag_that_holds_another_image_is_refused_before_anything_is_pushed(
    project: Path, server: Server
) -> None:
    server.put("agent-tools", "0.1.0", b"{}")
    with pytest.raises(Refused, match=r"another image as agent-tools:0\.1\.0: sha256:44136") as no:
        publish(project, "prod", silent, server.connect)
    assert "another version" in no.value.hint
    assert server.state.count("PATCH") == 0


def test_pinning_writes_every_digest_and_keeps_the_rest_of_the_file(
    project: Path, server: Server
) -> None:
    for name, tag in TAGS.items():
        server.put(name, tag, f'{{"{name}": 1}}'.encode())
    before = (project / "Pulumi.prod.yaml").read_text()
    digests = pin(project, "prod", server.connect)
    assert digests == {name: digest_of(f'{{"{name}": 1}}'.encode()) for name in TAGS}
    text = (project / "Pulumi.prod.yaml").read_text()
    kept = [line for line in before.splitlines() if "sha256:" not in line]
    assert [line for line in text.splitlines() if "sha256:" not in line] == kept
    cloud = read_environment(project, "prod").cloud
    assert cloud.provider == "aws"
    assert cloud.image_digests == digests
    assert pin(project, "prod", server.connect) == digests
    assert (project / "Pulumi.prod.yaml").read_text() == text
    listed = {each.name: each.digest for each in list_images(project, "prod")}
    assert listed == digests


def test_a_missing_image_is_named_and_nothing_is_written(project: Path, server: Server) -> None:
    for name, tag in list(TAGS.items())[1:]:
        server.put(name, tag, b"{}")
    before = (project / "Pulumi.prod.yaml").read_text()
    with pytest.raises(Refused, match=r"registry of prod has no moltghost-prod/ollama:0\.33\.3\n"):
        pin(project, "prod", server.connect)
    assert (project / "Pulumi.prod.yaml").read_text() == before


def test_a_registry_that_does_not_answer_is_a_refusal(project: Path) -> None:
    with registry() as (host, _state):
        pass
    with pytest.raises(Refused, match=f"the registry {host} doesn't answer"):
        pin(project, "prod", lambda _plan: Registry(host))


@pytest.mark.parametrize("act", [pin, lambda project, name: publish(project, name, silent)])
def test_an_environment_on_this_machine_has_no_registry(project: Path, act: object) -> None:
    assert callable(act)
    with pytest.raises(Refused, match="environment local has no registry") as no:
        act(project, "local")
    assert "moltghost images list" in no.value.hint


def test_local_images_say_what_they_stand_for_and_whether_they_are_built(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    built = store.archive("gate").file
    built.parent.mkdir(parents=True)
    shutil.copy(small_image(tmp_path / "gate").file, built)
    found = {each.name: each for each in list_images(project, "local")}
    assert {name for name, each in found.items() if each.substituted} == {"ollama"}
    assert found["ollama"].stands_for == "docker.io/ollama/ollama:0.33.3"
    assert (found["ollama"].built, found["ollama"].digest) == (False, "")
    assert found["gate"].built
    assert found["gate"].digest == small_image(tmp_path / "gate").digest
    assert found["gate"].size_bytes == built.stat().st_size
