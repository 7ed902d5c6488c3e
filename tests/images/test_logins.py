"""Logins: where they lie, who can read them, and that they go."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from moltghost.errors import Refused
from moltghost.images.logins import Login, docker_config

ECR = "111122223333.dkr.ecr.us-east-1.amazonaws.com"
DOCKER_HUB = "https://index.docker.io/v1/"  # Docker's name of its own registry in this file
LOGIN = Login("AWS", "a-secret-of-twelve-hours")


@pytest.fixture(autouse=True)
def users(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's own Docker config, which isn't there yet."""
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    return tmp_path / "docker" / "config.json"


def write(file: Path, document: object) -> None:
    file.parent.mkdir()
    file.write_text(document if isinstance(document, str) else json.dumps(document))


def test_only_the_user_can_read_the_file_and_it_goes_with_the_block() -> None:
    with docker_config({ECR: LOGIN}) as folder:
        file = folder / "config.json"
        assert file.stat().st_mode & 0o777 == 0o600
        assert folder.stat().st_mode & 0o777 == 0o700
        auth = json.loads(file.read_text())["auths"][ECR]["auth"]
        assert base64.b64decode(auth) == b"AWS:a-secret-of-twelve-hours"
    assert not folder.exists()


@pytest.mark.parametrize("stopped_by", [KeyboardInterrupt, SystemExit, RuntimeError])
def test_it_goes_when_the_block_is_stopped(stopped_by: type[BaseException]) -> None:
    seen = []
    with pytest.raises(stopped_by, match="stop"), docker_config({ECR: LOGIN}) as folder:
        seen.append(folder)
        raise stopped_by("stop")
    assert not seen[0].exists()


def test_it_lies_in_memory_where_the_machine_has_a_place_for_that(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    with docker_config({ECR: LOGIN}) as folder:
        assert folder.parent == tmp_path
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "missing"))
    with docker_config({ECR: LOGIN}) as folder:
        assert folder.parent != tmp_path


def test_the_users_own_logins_stay(users: Path) -> None:
    write(users, {"auths": {DOCKER_HUB: {"auth": "bWU6cHc="}}, "credHelpers": {"gcr.io": "gcloud"}})
    with docker_config({ECR: LOGIN}) as folder:
        document = json.loads((folder / "config.json").read_text())
    assert document["auths"][DOCKER_HUB] == {"auth": "bWU6cHc="}
    assert document["credHelpers"] == {"gcr.io": "gcloud"}


def test_a_store_of_the_users_answers_for_its_logins_and_not_for_ours(users: Path) -> None:
    write(users, {"auths": {DOCKER_HUB: {}, ECR: {}}, "credsStore": "desktop"})
    with docker_config({ECR: LOGIN}) as folder:
        document = json.loads((folder / "config.json").read_text())
    assert document["credHelpers"] == {DOCKER_HUB: "desktop"}
    assert "credsStore" not in document
    assert document["auths"][ECR] == {"auth": LOGIN.auth}


def test_a_broken_config_of_the_users_is_named(users: Path) -> None:
    write(users, "{")
    with pytest.raises(Refused, match=r"your Docker config \S+/docker/config\.json can't be read"):
        docker_config({ECR: LOGIN}).__enter__()


def test_a_login_does_not_show_its_password() -> None:
    assert "twelve" not in repr(LOGIN)
