"""`Pulumi.yaml`'s `config:` block and the pydantic model say the same of every stack."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from moltghost.config import (
    NAMESPACE,
    SPEC_KEY,
    AgentSpec,
    AwsCloudSpec,
    EmbeddedCloudSpec,
    ModelSpec,
    PlatformSpec,
    PoolSpec,
    StackName,
    read_environment,
    read_spec,
)
from tests.examples import EXAMPLES as FOLDER

STACK_FILES = sorted(FOLDER.glob("Pulumi.*.yaml"))


def load(file: Path) -> dict[str, Any]:
    loaded = YAML(typ="safe").load(file)
    assert isinstance(loaded, dict)
    return loaded


def stack_of(file: Path) -> StackName:
    return StackName.parse(file.name.removeprefix("Pulumi.").removesuffix(".yaml"))


def test_the_project_declares_one_key_an_object_without_a_default() -> None:
    project = load(FOLDER / "Pulumi.yaml")
    assert project["name"] == NAMESPACE
    assert list(project["config"]) == [SPEC_KEY]
    declared = project["config"][SPEC_KEY]
    assert declared["type"] == "object"
    assert "default" not in declared
    assert not declared.get("secret")


def test_the_repository_has_the_environment_local_and_the_readmes_agent() -> None:
    assert {"local", "platform.local", "my-agent.local"} <= {str(stack_of(f)) for f in STACK_FILES}


@pytest.mark.parametrize("file", STACK_FILES, ids=lambda file: file.name)
def test_every_stack_file_of_the_repository_is_valid(file: Path) -> None:
    spec = read_spec(file, stack_of(file))
    assert spec.kind == stack_of(file).layer


@pytest.mark.parametrize("file", STACK_FILES, ids=lambda file: file.name)
def test_no_stack_file_has_a_key_outside_the_schema(file: Path) -> None:
    document = load(file)
    assert set(document) <= {"config", "encryptionsalt", "secretsprovider"}
    declared = set(load(FOLDER / "Pulumi.yaml")["config"])
    for key, value in document["config"].items():
        assert key in declared or set(value) == {"secure"}, f"{key} is neither declared nor secret"


@pytest.mark.parametrize("file", STACK_FILES, ids=lambda file: file.name)
def test_every_stack_file_belongs_to_an_environment_with_both_layers(file: Path) -> None:
    name = stack_of(file).environment
    assert read_environment(FOLDER, name).name == name


@pytest.mark.parametrize(
    "spec", [EmbeddedCloudSpec, AwsCloudSpec, PlatformSpec, PoolSpec, AgentSpec, ModelSpec]
)
def test_no_kind_of_spec_takes_a_key_that_it_does_not_know(spec: type[Any]) -> None:
    assert spec.model_config["extra"] == "forbid"
    assert spec.model_config["frozen"]
