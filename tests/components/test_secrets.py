"""Secrets stay in Secrets, and what is not secret is named by what is in it."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from moltghost.components.naming import content_name
from tests.components.cases import AGENTS, agent, containers, everything, options, pods
from tests.rendering import objects
from tests.wire import is_secret

# What the mock of `RandomPassword` answers.
TOKEN = "not-a-real-token"

of_cases = pytest.mark.parametrize("case", AGENTS)


def test_a_secrets_value_is_in_no_other_object() -> None:
    holders = {
        resource.kind
        for _, resource in everything()
        if TOKEN in json.dumps(resource.inputs) and not resource.type.startswith("random:")
    }
    assert holders == {"Secret"}


def test_a_secrets_value_is_marked_secret_on_the_wire() -> None:
    secrets = [each for _, each in everything() if each.kind == "Secret"]
    assert secrets
    for secret in secrets:
        assert is_secret(secret.inputs["stringData"])
        assert "data" not in secret.inputs
        assert secret.inputs["immutable"] is True


@of_cases
def test_a_generated_token_is_a_secret_output_of_256_bits(case: str) -> None:
    found = options(case)
    passwords = {key for key in found if key.startswith("random:index/randomPassword")}
    assert len(passwords) == 2
    for key in passwords:
        assert "result" in found[key].secret_outputs
    for resource in agent(case):
        if resource.type.startswith("random:"):
            # 43 letters and digits of 62 kinds.
            assert resource.inputs["length"] >= 43
            assert resource.inputs["special"] is False


def test_no_container_gets_a_secret_as_text() -> None:
    for where, container in containers():
        for entry in container["env"]:
            if re.search("TOKEN|SECRET|PASSWORD|KEY$", entry["name"]):
                assert set(entry["valueFrom"]) == {"secretKeyRef"}, where
        text = json.dumps([container.get("args", []), container.get("command", [])])
        assert not re.search("token|secret|password|bearer", text, re.IGNORECASE), where


def test_a_secret_on_disk_is_readable_by_its_user_only() -> None:
    volumes = [v for _, pod in pods() for v in pod["spec"]["volumes"] if "secret" in v]
    assert volumes
    for volume in volumes:
        assert volume["secret"]["defaultMode"] == 0o440


def references(case: str) -> set[str]:
    """Names of ConfigMaps and Secrets that an agent's pods use."""
    text = json.dumps([each.inputs for each in agent(case) if each.kind == "Deployment"])
    found = re.findall(r'"(?:configMap|secretKeyRef)": \{[^}]*?"name": "([^"]+)"', text)
    return {*found, *re.findall(r'"secretName": "([^"]+)"', text)}


@of_cases
def test_pods_use_the_config_maps_and_secrets_that_are_there_and_no_other(case: str) -> None:
    there = {
        *objects(agent(case), "ConfigMap"),
        *objects(agent(case), "Secret"),
    }
    assert references(case) == there
    assert len(there) == 4


def config_maps() -> dict[str, dict[str, Any]]:
    """Data of every ConfigMap of the case studies by case and name."""
    return {
        f"{case}/{name}": each["data"]
        for case in AGENTS
        for name, each in objects(agent(case), "ConfigMap").items()
    }


def test_config_maps_are_named_by_their_content() -> None:
    by_content: dict[str, set[str]] = {}
    by_name: dict[str, set[str]] = {}
    for key, data in config_maps().items():
        name, content = key.partition("/")[2], json.dumps(data)
        by_content.setdefault(content, set()).add(name)
        by_name.setdefault(name, set()).add(content)
    assert all(len(names) == 1 for names in by_content.values())
    assert all(len(contents) == 1 for contents in by_name.values())
    # Contexts of 32k and 128k, with and without tools.
    assert len(by_name) >= 3


def test_config_maps_cannot_be_changed_in_place() -> None:
    for case in AGENTS:
        for each in objects(agent(case), "ConfigMap").values():
            assert each["immutable"] is True


def test_another_context_is_another_config_map() -> None:
    def names(case: str) -> set[str]:
        return {name for name in objects(agent(case), "ConfigMap") if "openclaw" in name}

    assert names("readme") == names("scaled") == names("rotated")
    assert names("readme") != names("no-tools")


def test_a_content_name_is_a_function_of_the_content() -> None:
    assert content_name("gate", "a") == content_name("gate", "a")
    assert content_name("gate", "a") != content_name("gate", "b")
    assert re.fullmatch(r"gate-[0-9a-f]{10}", content_name("gate", "a"))


def test_a_rotation_makes_new_secrets_under_new_names() -> None:
    assert set(objects(agent("readme"), "Secret")) == {"gate-token-1", "gateway-token-1"}
    assert set(objects(agent("rotated"), "Secret")) == {"gate-token-2", "gateway-token-2"}
    passwords = {each.name for each in agent("rotated") if each.type.startswith("random:")}
    assert passwords == {"gate-token-2", "gateway-token-2"}
