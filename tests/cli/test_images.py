from __future__ import annotations

import shutil

import pytest

from moltghost.errors import ExitCode
from moltghost.images import store
from moltghost.local.build import builder
from tests.cli.command import Command
from tests.examples import EXAMPLES
from tests.images.examples import small_image
from tests.images.registries import DESTINATION, OURS, UPSTREAM, Registries


@pytest.fixture(autouse=True)
def _empty_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture
def registries(
    moltghost: Command, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Registries:
    """The registries that `prod` uses, crane and our images as if they were built."""
    shutil.copy(EXAMPLES / "Pulumi.prod.yaml", moltghost.project)
    shutil.copy(EXAMPLES / "Pulumi.platform.prod.yaml", moltghost.project)
    image = small_image(tmp_path_factory.mktemp("archive") / "a")
    found = Registries()
    monkeypatch.setattr(builder, "ensure_built", lambda _report, _names: None)
    monkeypatch.setattr(store, "ensure_built", lambda _report, names: [image for _ in names])
    monkeypatch.setattr("moltghost.lifecycle.images._connect", found.connect)
    return found


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


def test_publishing_says_what_became_of_each_image(
    moltghost: Command, registries: Registries
) -> None:
    ran = moltghost("images", "publish", "prod", "--yes")
    assert ran.code == ExitCode.DONE
    ollama, gate, *_ = ran.out.splitlines()
    assert ollama.startswith(f"{DESTINATION}/ollama:0.33.3@sha256:")
    assert ollama.endswith(" (copied from docker.io/ollama/ollama:0.33.3)")
    assert gate.startswith(f"{DESTINATION}/gate:2.11.9@sha256:")
    assert gate.endswith(" (pushed)")
    assert "written to Pulumi.prod.yaml; moltghost up prod applies it" in ran.out
    assert len(registries.changes) == 6
    again = moltghost("images", "publish", "prod", "--yes")
    assert again.out.count("is there already") == 6
    data = moltghost("images", "publish", "prod", "--yes", "--json").data
    assert data["dry_run"] is False
    assert [each["action"] for each in data["images"]] == ["none"] * 6
    assert (data["images"][0]["source"], data["images"][1]["source"]) == (
        "docker.io/ollama/ollama:0.33.3",
        "",
    )


def test_nothing_is_published_unasked(moltghost: Command, registries: Registries) -> None:
    ran = moltghost("images", "publish", "prod")
    assert ran.code == ExitCode.REFUSED
    assert registries.asked == []


def test_a_dry_run_needs_no_confirmation(moltghost: Command, registries: Registries) -> None:
    ran = moltghost("images", "publish", "prod", "--dry-run")
    assert ran.code == ExitCode.DONE
    assert ran.out.count("to be copied from") == 4
    assert ran.out.count("to be pushed") == 2
    assert "written to" not in ran.out
    assert registries.changes == []


def test_pinning_what_is_not_there_is_refused(moltghost: Command, registries: Registries) -> None:
    ran = moltghost("images", "pin", "prod")
    assert ran.code == ExitCode.REFUSED
    assert "has no moltghost-prod/ollama:0.33.3, moltghost-prod/gate:2.11.9" in ran.err
    assert registries.asked


def test_pinning_shows_the_digests(moltghost: Command, registries: Registries) -> None:
    for name in (*UPSTREAM, *OURS):
        registries.put(name, b"{}")
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
