"""Images of an environment: listed, published to its registry, pinned in its config."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from moltghost.config import read_environment
from moltghost.errors import Refused
from moltghost.images import store
from moltghost.images.archive import Archive
from moltghost.images.crane import Crane, Unreachable
from moltghost.lifecycle.images import list_images, pin, publish
from moltghost.local.build import builder
from tests.examples import EXAMPLES
from tests.images.examples import small_image
from tests.images.registries import DESTINATION, UPSTREAM, Registries, digest_of

ALL = ("ollama", "gate", "openclaw", "agent-tools", "k8s-device-plugin", "dcgm-exporter")


@pytest.fixture
def registries(monkeypatch: pytest.MonkeyPatch) -> Registries:
    """All registries, and crane as if it were built."""
    monkeypatch.setattr(builder, "ensure_built", lambda _report, _names: None)
    return Registries()


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for file in EXAMPLES.glob("Pulumi*.yaml"):
        shutil.copy(file, tmp_path / file.name)
    return tmp_path


@pytest.fixture
def archives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Archive]:
    """Archives of ours that are built already, in place of the real ones."""
    found = {name: small_image(tmp_path / name, name) for name in ("gate", "tools")}
    monkeypatch.setattr(store, "ensure_built", lambda _report, names: [found[n] for n in names])
    return found


def test_every_image_gets_into_the_registry_and_is_pinned(
    project: Path, registries: Registries, archives: dict[str, Archive]
) -> None:
    done = publish(project, "prod", connect=registries.connect)
    assert [each.wanted.name for each in done] == list(ALL)
    digests = {each.wanted.name: each.digest for each in done}
    assert digests == {
        **{name: digest_of(registries.images[source]) for name, source in UPSTREAM.items()},
        "gate": archives["gate"].digest,
        "agent-tools": archives["tools"].digest,
    }
    assert registries.changes[:2] == [
        (
            "copy",
            f"docker.io/ollama/ollama@{digests['ollama']}",
            f"{DESTINATION}/ollama:0.33.3",
        ),
        ("push", archives["gate"].digest, f"{DESTINATION}/gate:2.11.9"),
    ]
    assert len(registries.changes) == 6
    cloud = read_environment(project, "prod").cloud
    assert cloud.provider == "aws"
    assert cloud.image_digests == digests


@pytest.mark.usefixtures("archives")
def test_publishing_again_changes_nothing_and_asks_no_upstream(
    project: Path, registries: Registries
) -> None:
    publish(project, "prod", connect=registries.connect)
    before = (project / "Pulumi.prod.yaml").read_text()
    registries.changes.clear()
    registries.asked.clear()
    for source in UPSTREAM.values():  # a tag that moves afterwards doesn't matter
        registries.images[source] = b'{"moved": 1}'
    done = publish(project, "prod", connect=registries.connect)
    assert {each.action for each in done} == {"none"}
    assert registries.changes == []
    assert len(registries.asked) == 6
    assert all(each.startswith(DESTINATION) for each in registries.asked)
    assert (project / "Pulumi.prod.yaml").read_text() == before


@pytest.mark.usefixtures("archives")
def test_an_interrupted_run_pins_nothing_and_is_continued(
    project: Path, registries: Registries
) -> None:
    before = (project / "Pulumi.prod.yaml").read_text()
    registries.breaks_at = "openclaw"
    with pytest.raises(KeyboardInterrupt):
        publish(project, "prod", connect=registries.connect)
    assert (project / "Pulumi.prod.yaml").read_text() == before
    assert len(registries.changes) == 2
    registries.breaks_at = ""
    done = publish(project, "prod", connect=registries.connect)
    assert [each.action for each in done] == ["none", "none", "copy", "push", "copy", "copy"]
    assert len(registries.changes) == 6


@pytest.mark.usefixtures("archives")
def test_a_dry_run_only_asks(project: Path, registries: Registries) -> None:
    before = (project / "Pulumi.prod.yaml").read_text()
    done = publish(project, "prod", dry_run=True, connect=registries.connect)
    assert [each.action for each in done] == ["copy", "push", "copy", "push", "copy", "copy"]
    assert registries.changes == []
    assert (project / "Pulumi.prod.yaml").read_text() == before


@pytest.mark.usefixtures("archives")
@pytest.mark.parametrize(
    ("name", "said", "hint"),
    [
        ("agent-tools", r"agent-tools:0\.1\.0 is sha256:44136.* as it is built here", "version"),
        ("ollama", r"ollama:0\.33\.3 is sha256:44136.* is what docker\.io/ollama/ollama", "pin"),
    ],
)
def test_a_tag_that_holds_another_image_is_refused_before_anything_is_changed(
    project: Path, registries: Registries, name: str, said: str, hint: str
) -> None:
    registries.put(name, b"{}")
    with pytest.raises(Refused, match=said) as no:
        publish(project, "prod", connect=registries.connect)
    assert hint in no.value.hint
    assert registries.changes == []


@pytest.mark.usefixtures("archives")
def test_an_image_that_upstream_does_not_have_is_refused_before_anything_is_changed(
    project: Path, registries: Registries
) -> None:
    del registries.images[UPSTREAM["dcgm-exporter"]]
    with pytest.raises(Refused, match=r"there is no image nvcr\.io/nvidia/k8s/dcgm-exporter:4"):
        publish(project, "prod", connect=registries.connect)
    assert registries.changes == []


def test_pinning_writes_every_digest_and_keeps_the_rest_of_the_file(
    project: Path, registries: Registries
) -> None:
    for name in ALL:
        registries.put(name, f'{{"{name}": 1}}'.encode())
    before = (project / "Pulumi.prod.yaml").read_text()
    digests = pin(project, "prod", connect=registries.connect)
    assert digests == {name: digest_of(f'{{"{name}": 1}}'.encode()) for name in ALL}
    text = (project / "Pulumi.prod.yaml").read_text()
    kept = [line for line in before.splitlines() if "sha256:" not in line]
    assert [line for line in text.splitlines() if "sha256:" not in line] == kept
    cloud = read_environment(project, "prod").cloud
    assert cloud.provider == "aws"
    assert cloud.image_digests == digests
    assert pin(project, "prod", connect=registries.connect) == digests
    assert (project / "Pulumi.prod.yaml").read_text() == text
    listed = {each.name: each.digest for each in list_images(project, "prod")}
    assert listed == digests


def test_a_missing_image_is_named_and_nothing_is_written(
    project: Path, registries: Registries
) -> None:
    for name in ALL[1:]:
        registries.put(name, b"{}")
    before = (project / "Pulumi.prod.yaml").read_text()
    with pytest.raises(Refused, match=r"registry of prod has no moltghost-prod/ollama:0\.33\.3\n"):
        pin(project, "prod", connect=registries.connect)
    assert (project / "Pulumi.prod.yaml").read_text() == before


@pytest.mark.usefixtures("archives")
@pytest.mark.parametrize("act", [pin, publish])
def test_a_registry_that_does_not_answer_is_a_refusal(
    project: Path, registries: Registries, act: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    def manifest(_reference: str) -> bytes:
        raise Unreachable("the registry doesn't answer", Unreachable.next_step)

    monkeypatch.setattr(registries, "manifest", manifest)
    assert callable(act)
    with pytest.raises(Refused, match="the registry doesn't answer") as no:
        act(project, "prod", connect=registries.connect)
    assert "network" in no.value.hint


@pytest.mark.parametrize("act", [pin, publish])
def test_a_login_that_is_refused_is_seen_before_anything_is_built(
    project: Path, act: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    @contextmanager
    def connect(_plan: object) -> Iterator[Crane]:
        raise Refused("AWS gives no access", "log in")
        yield Crane(project)

    def build(*_args: object) -> None:
        raise AssertionError("built without a login")

    monkeypatch.setattr(builder, "ensure_built", build)
    assert callable(act)
    with pytest.raises(Refused, match="AWS gives no access"):
        act(project, "prod", connect=connect)


@pytest.mark.parametrize("act", [pin, publish])
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
