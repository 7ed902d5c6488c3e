from __future__ import annotations

import socket
from typing import Any, NoReturn

import pytest
from botocore.httpsession import URLLib3Session
from urllib3.util import connection

from tests.aws.simulated import SimulatedAccount

_SEND, _CONNECT = URLLib3Session.send, connection.create_connection


@pytest.fixture(autouse=True)
def no_real_aws(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    """Dummy credentials, no profile of the user's, and no way out to the network."""
    for name in ("AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_ROLE_ARN", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_SESSION_TOKEN": "testing",
        "AWS_CONFIG_FILE": "/nonexistent/config",
        "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent/credentials",
        "AWS_EC2_METADATA_DISABLED": "true",
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
    }.items():
        monkeypatch.setenv(name, value)

    def refuse(_session: object, request: Any) -> NoReturn:
        raise AssertionError(f"a test tried to reach {request.url}")

    monkeypatch.setattr(URLLib3Session, "send", refuse)


@pytest.fixture
def loopback(no_real_aws: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """HTTP may be sent, and connects to this machine only."""
    monkeypatch.setattr(URLLib3Session, "send", _SEND)

    def connect(address: tuple[str, int], *arguments: Any, **options: Any) -> socket.socket:
        if address[0] != "127.0.0.1":
            raise AssertionError(f"a test tried to reach {address[0]}")
        return _CONNECT(address, *arguments, **options)

    monkeypatch.setattr(connection, "create_connection", connect)


@pytest.fixture
def account() -> SimulatedAccount:
    return SimulatedAccount()
