"""Requests to one API server: credentials, patience, warnings and errors.

Kubeconfig, TLS, tokens and exec credentials are lightkube's.
"""

from __future__ import annotations

import json
import shlex
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx2 as httpx
import yaml
from lightkube.config.client_adapter import Client as HttpClient
from lightkube.config.client_adapter import ConnectionParams
from lightkube.config.kubeconfig import KubeConfig
from lightkube.config.models import UserExec
from lightkube.core.exceptions import ConfigError

from moltghost.errors import Refused
from moltghost.kube.errors import ApiError, NoCredentials, Unreachable, api_error

Object = dict[str, Any]

JSON = "application/json"
_RETRY_STATUS = (429, 500, 502, 503, 504)  # client-go repeats these when the server says when
_RETRY_PAUSE_SECONDS = 0.5
_WATCH_GRACE_SECONDS = 5.0
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


class _Credentials(httpx.Auth):
    """lightkube's credentials; that they can't be had is no failure of the network."""

    def __init__(self, auth: httpx.Auth, server: str, command: UserExec | None) -> None:
        self._auth, self._server, self._command = auth, server, command

    def sync_auth_flow(
        self, request: httpx.Request
    ) -> Generator[httpx.Request, httpx.Response, None]:
        try:
            yield from self._auth.sync_auth_flow(request)
        except Exception as error:  # of a file, a program, or of what the program printed
            known = isinstance(error, ConfigError | OSError)
            why = (
                str(error).strip() if known else "what the program printed doesn't contain a token"
            )
            raise NoCredentials(
                f"no credentials for {self._server}: {why}", self._hint(error)
            ) from error

    def _hint(self, error: Exception) -> str:
        command = self._command
        if command is None:
            return "check it with: kubectl config view"
        if isinstance(error, OSError):
            return command.installHint or f"install {command.command}, or put it on the PATH"
        asked = shlex.join([command.command, *(command.args or ())])
        login = "; aws sso login opens a new session" * (Path(command.command).name == "aws")
        return f"find out why it gives none: {asked}{login}"


class Transport:
    """A connection to one API server, usable from many threads.

    Args:
        kubeconfig: path of a kubeconfig, or its text.
        context: which of its contexts; by default the current one.
        timeout_seconds: for one request.
        on_warning: called with each warning of the server.

    Raises:
        Refused: the kubeconfig is missing or malformed.
    """

    def __init__(
        self,
        kubeconfig: Path | str,
        context: str | None,
        timeout_seconds: float,
        on_warning: Callable[[str], None],
    ) -> None:
        config = _read_kubeconfig(kubeconfig, context)
        self.server = config.cluster.server or ""
        self.context = config.context_name
        self.patience_seconds = 0.0
        self._on_warning = on_warning
        with _readable_errors(kubeconfig):
            self._http = HttpClient(config, _connection(self.server, timeout_seconds))
            if auth := self._http.auth:
                self._http.auth = _Credentials(auth, self.server, config.user.exec)

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def request(
        self,
        method: str,
        path: str,
        *,
        body: Any = None,
        query: Mapping[str, Any] | None = None,
        content_type: str = JSON,
    ) -> Object:
        """One request, repeated within the client's patience while the server can't be reached.

        Raises:
            ApiError: the server said no.
            NoCredentials: it can't be asked.
            Unreachable: it doesn't answer.
        """
        deadline = time.monotonic() + self.patience_seconds
        content = None if body is None else json.dumps(body).encode()
        while True:
            try:
                response = self._http.request(
                    method,
                    path,
                    content=content,
                    params=present(query or {}),
                    headers={"Content-Type": content_type, "Accept": JSON},
                )
            except (httpx.TransportError, OSError) as error:
                if time.monotonic() >= deadline:
                    raise Unreachable(
                        f"the API server {self.server} doesn't answer: {error or type(error)}"
                    ) from error
            else:
                if not self._must_repeat(response, deadline):
                    return self._answer(response)
            time.sleep(_RETRY_PAUSE_SECONDS)

    def _must_repeat(self, response: httpx.Response, deadline: float) -> bool:
        told = response.status_code in _RETRY_STATUS and "Retry-After" in response.headers
        return told and time.monotonic() < deadline

    def _answer(self, response: httpx.Response) -> Object:
        for warning in response.headers.get_list("Warning"):
            self._on_warning(_warning_text(warning))
        if response.is_error:
            raise _api_error(response)
        answer: Object = response.json()
        return answer

    def lines(self, path: str, query: Mapping[str, Any], seconds: int) -> Iterator[str]:
        """The lines of a stream until it ends; a broken connection ends it early.

        Raises:
            ApiError: the server said no.
            NoCredentials: it can't be asked.
        """
        timeout = seconds + _WATCH_GRACE_SECONDS
        with (
            suppress(httpx.TransportError),
            self._http.stream("GET", path, params=present(query), timeout=timeout) as response,
        ):
            if response.status_code != httpx.codes.OK:
                response.read()
                raise _api_error(response)
            yield from response.iter_lines()


def present(query: Mapping[str, Any]) -> dict[str, Any]:
    """The query without what isn't asked for."""
    return {key: value for key, value in query.items() if value is not None}


def kubeconfig_path(kubeconfig: Path | str) -> Path | None:
    """The path that a kubeconfig is given as; None where it is given as its text.

    Text is YAML of several lines, or JSON, which may have one: what the AWS cloud stack exports.
    """
    text = str(kubeconfig).strip()
    return None if text.startswith("{") or "\n" in text else Path(kubeconfig).expanduser()


def _read_kubeconfig(kubeconfig: Path | str, context: str | None) -> Any:
    """The chosen context of a kubeconfig given as a path or as its text."""
    path = kubeconfig_path(kubeconfig)
    if path and not path.exists():
        raise Refused(f"there is no kubeconfig {path}", "is the cluster running?")
    with _readable_errors(kubeconfig):
        text = path.read_text() if path else str(kubeconfig)
        return KubeConfig.from_dict(yaml.safe_load(text), fname=path).get(context)


@contextmanager
def _readable_errors(kubeconfig: Path | str) -> Iterator[None]:
    """lightkube, PyYAML and ssl each have their own ways to say that a kubeconfig is no good."""
    try:
        yield
    except Exception as error:
        name = kubeconfig_path(kubeconfig) or "given as text"
        raise Refused(
            f"the kubeconfig {name} can't be used: {error}",
            "check it with: kubectl config view",
        ) from error


def _connection(server: str, timeout_seconds: float) -> ConnectionParams:
    loopback = httpx.URL(server).host in _LOOPBACK
    return ConnectionParams(timeout=httpx.Timeout(timeout_seconds), trust_env=not loopback)


def _api_error(response: httpx.Response) -> ApiError:
    try:
        status = response.json()
        return api_error(response.status_code, status.get("reason", ""), status["message"])
    except (ValueError, KeyError, AttributeError):
        return api_error(response.status_code, response.reason_phrase, response.text.strip())


def _warning_text(header: str) -> str:
    """The text of ``299 - "text"``."""
    _code, _, rest = header.partition(" ")
    _agent, _, quoted = rest.partition(" ")
    try:
        return str(json.loads(quoted))
    except ValueError:
        return quoted or header
