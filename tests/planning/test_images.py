"""Two sets of images: upstream's, and those that this machine builds in their place."""

from __future__ import annotations

from moltghost.config import EmbeddedCloudSpec, EnvironmentConfig
from moltghost.images import store
from moltghost.planning.cloud import plan_cloud
from moltghost.planning.images import local_images, pinned_images, substitutes, version_of
from tests.examples import LOCAL
from tests.planning.aws import cloud_plan


def test_the_embedded_cluster_runs_what_this_machine_builds() -> None:
    assert plan_cloud(LOCAL).images == local_images()
    assert all(each.startswith("moltghost.local/") for each in local_images().model_dump().values())


def test_a_cluster_of_the_users_pulls_what_upstream_publishes() -> None:
    spec = EmbeddedCloudSpec(kind="cloud", provider="embedded", kubeconfig="~/.kube/config")
    assert plan_cloud(EnvironmentConfig("local", spec, LOCAL.platform)).images == pinned_images()


def test_only_ollama_is_substituted_by_another_version() -> None:
    found = substitutes(local_images())
    assert list(found) == ["ollama", "gate", "openclaw", "tools"]
    assert [name for name, each in found.items() if each.other_version] == ["ollama"]
    assert str(found["ollama"]) == "0.17.4-cpu for 0.33.3"
    assert str(found["openclaw"]) == "own build for ghcr.io/openclaw/openclaw"


def test_nothing_on_aws_is_a_substitute() -> None:
    assert substitutes(cloud_plan().images) == substitutes(pinned_images()) == {}


def test_stores_are_kept_by_ollamas_version_whatever_the_processor() -> None:
    assert local_images().ollama_version == "0.17.4"
    assert pinned_images().ollama_version == "0.33.3"


def test_a_digest_is_no_part_of_a_version() -> None:
    assert version_of(f"registry.example:5000/a/b:1.2@sha256:{'a' * 64}") == "1.2"


def test_only_what_a_release_makes_is_under_our_name() -> None:
    """Upstream's were seen in public repositories on 2026-11-30, with their digests."""
    ours = {name for name, each in pinned_images().model_dump().items() if "/moltghost/" in each}
    assert ours == {"gate", "tools"}
    assert ours == {recipe.name for recipe in store.RECIPES if recipe.ours}
    assert {each for name, each in pinned_images().model_dump().items() if name not in ours} == {
        "docker.io/ollama/ollama:0.33.3",
        "ghcr.io/openclaw/openclaw:2026.9.6",
    }
