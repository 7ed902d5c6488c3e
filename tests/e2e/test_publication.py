"""Images between real registries on loopback, by the real crane: copied, pushed, read back."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from moltghost.config import read_environment
from moltghost.images import crane, store
from moltghost.images.crane import (
    Crane,
    DigestMismatch,
    NoSuchImage,
    NotLoggedIn,
    RateLimited,
    Unreachable,
)
from moltghost.images.logins import docker_config
from moltghost.lifecycle.images import pin, publish
from moltghost.local.build import programs
from tests.e2e.registries import (
    LOGIN,
    Door,
    OnLoopback,
    digest_of,
    door,
    read,
    read_blobs,
    registry,
)
from tests.examples import EXAMPLES
from tests.images.examples import small_image
from tests.images.registries import OURS, UPSTREAM

pytestmark = pytest.mark.e2e
ECR = "111122223333.dkr.ecr.us-east-1.amazonaws.com"


@pytest.fixture(scope="module", autouse=True)
def _crane() -> None:
    """Built once for all machines' tests; `make up` doesn't need it."""
    crane.ensure_built()


@pytest.fixture(autouse=True)
def _no_logins_of_the_users(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))


@pytest.fixture
def upstream() -> Iterator[str]:
    with registry() as host:
        yield host


@pytest.fixture
def target() -> Iterator[Door]:
    """A registry that wants a login."""
    with registry() as behind, door(behind) as found:
        yield found


@pytest.fixture
def client(target: Door) -> Iterator[Crane]:
    with docker_config({target.host: LOGIN}) as folder:
        yield Crane(folder)


def put(host: str, repository: str, tag: str, folder: Path, text: str) -> str:
    """Put a small image into a registry without a door; its digest."""
    image = small_image(folder, text)
    Crane(folder).push(image, f"{host}/{repository}:{tag}")
    return image.digest


def test_a_copy_keeps_its_digest_and_is_whole(
    upstream: str, target: Door, client: Crane, tmp_path: Path
) -> None:
    digest = put(upstream, "a/hello", "1.2", tmp_path / "hello", "hello")
    client.copy(f"{upstream}/a/hello@{digest}", f"{target.host}/b/hello:1.2")
    manifest = read(target.behind, "b/hello", "1.2")
    assert digest_of(manifest) == digest
    read_blobs(target.behind, "b/hello", manifest)
    assert client.digest(f"{target.host}/b/hello:1.2") == digest
    assert client.digest(f"{target.host}/b/hello:1.3") is None


def test_an_image_for_several_platforms_is_copied_with_all_of_them(
    upstream: str, target: Door, client: Crane, tmp_path: Path
) -> None:
    digests = [put(upstream, "a/hello", each, tmp_path / each, each) for each in ("one", "two")]
    parts = [part for each in digests for part in ("-m", f"{upstream}/a/hello@{each}")]
    command = [str(programs.binary("crane")), "index", "append", *parts]
    subprocess.run([*command, "-t", f"{upstream}/a/hello:all"], check=True, capture_output=True)
    index = read(upstream, "a/hello", "all")
    assert [each["digest"] for each in json.loads(index)["manifests"]] == digests
    client.copy(f"{upstream}/a/hello@{digest_of(index)}", f"{target.host}/b/hello:1.2")
    assert read(target.behind, "b/hello", "1.2") == index
    for digest in digests:
        read_blobs(target.behind, "b/hello", read(target.behind, "b/hello", digest))


def test_a_digest_that_is_not_there_is_refused(
    upstream: str, target: Door, client: Crane, tmp_path: Path
) -> None:
    put(upstream, "a/hello", "1.2", tmp_path / "hello", "hello")
    with pytest.raises(NoSuchImage, match="MANIFEST_UNKNOWN"):
        client.copy(f"{upstream}/a/hello@sha256:{'0' * 64}", f"{target.host}/b/hello:1.2")
    assert client.digest(f"{target.host}/b/hello:1.2") is None


def test_a_registry_that_sends_another_image_for_a_digest_is_found_out(
    upstream: str, target: Door, client: Crane, tmp_path: Path
) -> None:
    digest = put(upstream, "a/hello", "1.2", tmp_path / "hello", "hello")
    with door(upstream) as liar:
        liar.wants_login, liar.manifest = False, read(upstream, "a/hello", "1.2") + b" "
        with pytest.raises(DigestMismatch, match=f"does not match requested digest: .*{digest}"):
            client.copy(f"{liar.host}/a/hello@{digest}", f"{target.host}/b/hello:1.2")
    assert target.count("PUT", "/manifests/") == 0


def test_without_the_login_nothing_gets_in(upstream: str, target: Door, tmp_path: Path) -> None:
    digest = put(upstream, "a/hello", "1.2", tmp_path / "hello", "hello")
    with docker_config({}) as folder, pytest.raises(NotLoggedIn, match="401"):
        Crane(folder).copy(f"{upstream}/a/hello@{digest}", f"{target.host}/b/hello:1.2")
    assert {method for method, _ in target.asked} <= {"GET", "HEAD", "POST"}


def test_a_refused_copy_goes_on_where_it_was(
    upstream: str, target: Door, client: Crane, tmp_path: Path
) -> None:
    digest = put(upstream, "a/hello", "1.2", tmp_path / "hello", "hello")
    target.refuses = ("PUT", "/manifests/", 403, "DENIED")
    with pytest.raises(NotLoggedIn, match="DENIED: no"):
        client.copy(f"{upstream}/a/hello@{digest}", f"{target.host}/b/hello:1.2")
    sent = target.count("PATCH", "/uploads/")
    assert sent == 3  # config and two layers
    target.refuses = None
    client.copy(f"{upstream}/a/hello@{digest}", f"{target.host}/b/hello:1.2")
    assert target.count("PATCH", "/uploads/") == sent
    assert digest_of(read(target.behind, "b/hello", "1.2")) == digest


def test_a_rate_limit_and_a_registry_that_is_gone_are_told_apart(
    target: Door, client: Crane
) -> None:
    target.refuses = ("GET", "/manifests/", 429, "TOOMANYREQUESTS")
    with pytest.raises(RateLimited, match="TOOMANYREQUESTS"):
        client.digest(f"{target.host}/b/hello:1.2")
    with registry() as gone:
        pass
    with pytest.raises(Unreachable, match="connection refused"):
        client.digest(f"{gone}/b/hello:1.2")


def test_one_command_fills_and_pins_the_registry_of_an_environment(
    upstream: str, target: Door, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for file in EXAMPLES.glob("Pulumi*.yaml"):
        shutil.copy(file, tmp_path / file.name)
    expected = {}
    for name, source in UPSTREAM.items():
        repository, _, tag = source.partition("/")[2].partition(":")
        expected[name] = put(upstream, repository, tag, tmp_path / name, name)
    archives = {name: small_image(tmp_path / name, name) for name in OURS}
    expected |= {name: archive.digest for name, archive in archives.items()}
    monkeypatch.setattr(store, "needed_programs", lambda _names: [])
    monkeypatch.setattr(store, "ensure_built", lambda _report, _names: list(archives.values()))
    hosts = {**dict.fromkeys(("docker.io", "ghcr.io", "nvcr.io"), upstream), ECR: target.host}

    @contextmanager
    def connect(_cloud: object) -> Iterator[Crane]:
        with docker_config({target.host: LOGIN}) as folder:
            yield OnLoopback(folder, hosts)

    done = publish(tmp_path, "prod", connect=connect)
    assert {each.wanted.name: each.digest for each in done} == expected
    for name, digest in expected.items():
        manifest = read(target.behind, f"moltghost-prod/{name}", digest)
        read_blobs(target.behind, f"moltghost-prod/{name}", manifest)
    cloud = read_environment(tmp_path, "prod").cloud
    assert cloud.provider == "aws"
    assert cloud.image_digests == expected
    sent = target.count("PUT", "/manifests/")
    assert {each.action for each in publish(tmp_path, "prod", connect=connect)} == {"none"}
    assert target.count("PUT", "/manifests/") == sent
    assert pin(tmp_path, "prod", connect=connect) == expected
