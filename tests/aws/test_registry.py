"""Credentials of a container registry, from moto."""

from __future__ import annotations

from collections.abc import Iterator

import boto3
import pytest
from moto import mock_aws
from moto.core import DEFAULT_ACCOUNT_ID

from moltghost.aws.clients import Clients
from moltghost.aws.registry import credentials
from moltghost.errors import Refused


@pytest.fixture
def session() -> Iterator[boto3.Session]:
    with mock_aws():
        yield boto3.Session("testing", "testing", region_name="us-east-1")


def test_the_token_is_taken_apart(session: boto3.Session) -> None:
    clients = Clients("us-east-1", session=lambda: session)
    user, password = credentials(clients, DEFAULT_ACCOUNT_ID)
    assert user == "AWS"
    assert password.endswith("-auth-token")


def test_another_accounts_registry_is_refused(session: boto3.Session) -> None:
    clients = Clients("us-east-1", session=lambda: session)
    with pytest.raises(Refused, match="not to account 111122223333"):
        credentials(clients, "111122223333")


def test_no_credentials_are_a_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")
    with pytest.raises(Refused, match="AWS refuses access to the registry of account 1111"):
        credentials(Clients("us-east-1"), "111122223333")
