from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from moltghost.local.cluster import credentials, weights_store
from moltghost.local.cluster.certificates import ensure_certificates
from moltghost.local.cluster.command_lines import Components
from moltghost.local.cluster.layout import Layout
from moltghost.local.cluster.ports import PORTS, ensure_ports
from moltghost.local.cluster.processes import Command

COMMANDS: tuple[Callable[[Components], Command], ...] = (
    Components.etcd,
    Components.api_server,
    Components.controller_manager,
    Components.scheduler,
    Components.kwok,
    Components.karpenter,
    Components.weights_store,
)


@pytest.fixture
def components(tmp_path: Path) -> Components:
    layout = Layout(tmp_path)
    ensure_certificates(layout.certificates.home, service_address="10.96.0.1")
    weights_store.ensure_key(layout.weights_key)
    return Components(layout, ensure_ports(layout.ports, running=()))


def options(command: Command) -> dict[str, str]:
    return dict(a.removeprefix("--").split("=", 1) for a in command.arguments[1:])


def test_there_is_a_command_for_every_process_with_ports(components: Components) -> None:
    assert [make(components).name for make in COMMANDS] == list(PORTS)


@pytest.mark.parametrize("make", COMMANDS)
def test_no_token_or_key_is_in_an_argument_or_the_environment(
    components: Components, make: Callable[[Components], Command]
) -> None:
    command = make(components)
    visible = [*command.arguments, *command.environment.values()]
    for secret in credentials.ensure_tokens(components.layout.tokens).values():
        assert not any(secret in text for text in visible)
    assert not any("PRIVATE KEY" in text for text in visible)
    key = weights_store.read_key(components.layout.weights_key)
    assert key is not None
    assert not any(key.secret in text for text in visible)


@pytest.mark.parametrize("make", COMMANDS)
def test_every_address_is_on_loopback(
    components: Components, make: Callable[[Components], Command]
) -> None:
    command = make(components)
    text = " ".join([*command.arguments, *command.environment.values()])
    addresses = set(re.findall(r"\d+\.\d+\.\d+\.\d+(?!/)\b", text))
    assert addresses <= {"127.0.0.1"}
    assert "0.0.0.0" not in text  # noqa: S104 - it is what must not be there


@pytest.mark.parametrize("make", COMMANDS)
def test_every_port_is_one_of_the_cluster(
    components: Components, make: Callable[[Components], Command]
) -> None:
    command = make(components)
    text = " ".join([*command.arguments, *command.environment.values()])
    used = {name for name, port in components.ports.items() if str(port) in text}
    assert set(PORTS[command.name]) <= used


def test_the_api_server_lets_nobody_in_without_a_token(components: Components) -> None:
    chosen = options(components.api_server())
    assert chosen["anonymous-auth"] == "false"
    assert chosen["authorization-mode"] == "Node,RBAC"
    assert chosen["token-auth-file"] == str(components.layout.tokens)


def test_etcd_wants_client_certificates_of_its_own_authority(components: Components) -> None:
    chosen = options(components.etcd())
    assert chosen["client-cert-auth"] == chosen["peer-client-cert-auth"] == "true"
    assert chosen["trusted-ca-file"] == str(components.layout.certificates.etcd_ca)


def test_admission_is_as_on_eks(components: Components) -> None:
    plugins = options(components.api_server())["enable-admission-plugins"].split(",")
    assert set(plugins) == {"NodeRestriction", "ExtendedResourceToleration"}


def test_another_port_of_the_api_server_restarts_its_clients(components: Components) -> None:
    kubeconfig = components.layout.user_kubeconfig(credentials.KWOK.name)
    components.layout.config("kwok.json").parent.mkdir()
    components.layout.config("kwok.json").write_text("{}")
    kubeconfig.parent.mkdir(exist_ok=True)
    kubeconfig.write_text("server: one")
    before = components.kwok().fingerprint()
    kubeconfig.write_text("server: two")
    assert components.kwok().fingerprint() != before
