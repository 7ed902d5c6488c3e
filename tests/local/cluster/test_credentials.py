from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from moltghost.kube.client import Client
from moltghost.local.cluster import credentials
from moltghost.local.cluster.certificates import CertificatePaths, ensure_certificates


def test_every_user_has_a_token_of_its_own_that_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "tokens.csv"
    tokens = credentials.ensure_tokens(path)
    assert set(tokens) == {user.name for user in credentials.USERS}
    assert len(set(tokens.values())) == len(tokens)
    assert min(map(len, tokens.values())) >= 43  # 32 random bytes
    assert credentials.ensure_tokens(path) == tokens
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_only_the_administrator_and_the_simulators_of_the_cloud_may_do_everything(
    tmp_path: Path,
) -> None:
    credentials.ensure_tokens(tmp_path / "tokens.csv")
    lines = (tmp_path / "tokens.csv").read_text().splitlines()
    masters = {line.split(",")[1] for line in lines if line.endswith('"system:masters"')}
    assert masters == {"moltghost-admin", "moltghost-karpenter", "moltghost-kwok"}


@pytest.mark.parametrize("content", ["", "nonsense\n", "a,b\nbroken\n"])
def test_a_broken_token_file_is_written_anew(tmp_path: Path, content: str) -> None:
    path = tmp_path / "tokens.csv"
    path.write_text(content)
    tokens = credentials.ensure_tokens(path)
    assert credentials.read_tokens(path) == tokens


def test_the_kubeconfig_is_private_and_our_client_reads_it(tmp_path: Path) -> None:
    ensure_certificates(tmp_path, service_address="10.96.0.1")
    path = tmp_path / "kubeconfig"
    credentials.write_kubeconfig(
        path,
        server="https://127.0.0.1:20001",
        authority=CertificatePaths(tmp_path).cluster_ca,
        user="moltghost-admin",
        token="t0ken",
    )
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert json.loads(path.read_text())["users"][0]["user"] == {"token": "t0ken"}
    client = Client(path)
    assert (client.server, client.context) == ("https://127.0.0.1:20001", "moltghost-local")
    client.close()
