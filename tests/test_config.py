from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import pytest

from moltghost.config import (
    POOL_NAMES,
    AgentSpec,
    PlatformSpec,
    StackName,
    parse_spec,
    read_agent,
    read_environment,
    read_spec,
    stack_file,
)
from moltghost.config_aws import FixedGroupSpec
from moltghost.errors import ExitCode, Refused
from moltghost.models.hardware import gpu_kinds
from tests.examples import STACK, agent_spec, agent_values

PLATFORM = StackName.parse("platform.local")


@pytest.mark.parametrize(
    ("text", "environment", "layer", "agent"),
    [
        ("prod", "prod", "cloud", ""),
        ("platform.prod", "prod", "platform", ""),
        ("my-agent.prod", "prod", "agent", "my-agent"),
        ("a.b-2", "b-2", "agent", "a"),
    ],
)
def test_a_stacks_name_says_environment_layer_and_agent(
    text: str, environment: str, layer: str, agent: str
) -> None:
    name = StackName.parse(text)
    assert (name.environment, name.layer, name.agent) == (environment, layer, agent)
    assert str(name) == text


def test_an_agents_stack_knows_the_stacks_below_it() -> None:
    assert [str(STACK.cloud), str(STACK.platform)] == ["local", "platform.local"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "environment name ''"),
        ("Prod", "environment name 'Prod'"),
        ("my_agent.local", "agent name 'my_agent'"),
        ("-a.local", "agent name '-a'"),
        ("a-.local", "agent name 'a-'"),
        ("1a.local", "agent name '1a'"),
        (".local", "agent name ''"),
        ("a.", "environment name ''"),
        ("a.b.c", r"environment name 'b\.c'"),
        ("../etc.local", r"environment name '\./etc\.local'"),
    ],
)
def test_a_name_that_kubernetes_would_not_take_is_refused(text: str, message: str) -> None:
    with pytest.raises(Refused, match=f"^{message} is not a valid name") as refused:
        StackName.parse(text)
    assert "small letters, digits and dashes" in refused.value.hint


def test_an_agents_name_is_at_most_40_characters_long() -> None:
    assert StackName.of_agent("a" * 40, "local").agent == "a" * 40
    with pytest.raises(Refused, match="has 41 characters") as refused:
        StackName.of_agent("a" * 41, "local")
    assert "40 at most" in refused.value.hint


def test_no_agent_is_called_platform() -> None:
    with pytest.raises(Refused, match="no agent may be called 'platform'"):
        StackName.of_agent("platform", "prod")


@pytest.mark.parametrize(
    ("written", "tokens"), [("32k", 32768), ("128K", 131072), (40000, 40000), ("40000", 40000)]
)
def test_a_context_is_written_short_or_in_full(written: object, tokens: int) -> None:
    assert agent_spec(context=written).context == tokens


def test_memory_is_the_nominal_total_over_the_gpus() -> None:
    assert agent_spec(memory="160gb").memory == 160


def test_quantities_are_dumped_as_a_person_would_write_them() -> None:
    dumped = agent_spec(memory="160gb", context=65536).model_dump(mode="json")
    assert (dumped["context"], dumped["memory"]) == ("64k", "160gb")


def test_a_dumped_spec_is_read_back_as_it_was() -> None:
    spec = agent_spec(memory="160gb", previous={"model": "phi3-mini-q8", "context": 16000})
    assert parse_spec(spec.model_dump(mode="json"), STACK) == spec


INVALID: list[tuple[StackName, Any, str]] = [
    (STACK, agent_values(context=0), "  context: Input should be greater than 0"),
    (STACK, agent_values(context=-1), "  context: Input should be greater than 0"),
    (STACK, agent_values(context=1.5), "  context: Input should be a valid integer"),
    # YAML's true would be read as 1.
    (STACK, agent_values(context=True), "  context: Input should be a number, not true or false"),
    (STACK, agent_values(context=False), "  context: Input should be a number, not true or false"),
    (STACK, agent_values(context="yes"), "  context: context 'yes' is not a number of tokens"),
    (STACK, agent_values(memory=True), "  memory: Input should be a number, not true or false"),
    (STACK, agent_values(parallel=True), "  parallel: Input should be a number, not true or false"),
    (STACK, agent_values(token_rotation=True), "  token_rotation: Input should be a number, not"),
    (
        PLATFORM,
        {"kind": "platform", "pools": {"cpu": {"max_nodes": True}}},
        r"  pools\.cpu\.max_nodes: Input should be a number, not true or false",
    ),
    (STACK, agent_values(parallel=0), "  parallel: Input should be greater than or equal to 1"),
    (STACK, agent_values(parallel=65), "  parallel: Input should be less than or equal to 64"),
    (STACK, agent_values(kv_cache="q2"), "  kv_cache: Input should be 'f16', 'q8_0' or 'q4_0'"),
    (STACK, agent_values(sharing="all"), "  sharing: Input should be 'dedicated' or 'owner'"),
    (STACK, agent_values(strategy="now"), "  strategy: Input should be 'surge' or 'in-place'"),
    (STACK, agent_values(owner="Big Team"), "  owner: use small letters, digits"),
    (STACK, agent_values(owner="a" * 64), "  owner: use small letters, digits"),
    (STACK, agent_values(token_rotation=0), "  token_rotation: Input should be greater than or"),
    (STACK, agent_values(gpus=2), "  gpus: there is no such field; did you mean gpu"),
    (STACK, agent_values(environment="prod"), "  environment: there is no such field; there are"),
    (STACK, agent_values(model=None), "  model: is missing"),
    (STACK, agent_values(previous={"model": "x"}), "  previous.context: is missing"),
    (
        STACK,
        agent_values(previous={"model": "x", "contxt": 5}),
        r"  previous\.contxt: .*mean context",
    ),
    (
        PLATFORM,
        {"kind": "platform", "pools": {"cpu": {"max_nodez": 1}}},
        r"  pools\.cpu\.max_nodez: there is no such field; did you mean max_nodes",
    ),
    (STACK, agent_values(owner=5), "  owner: must be text; put it in quotes"),
    (STACK, {"kind": "pod"}, "  kind: must be agent, as the stack's name says"),
    (STACK, {"model": "x"}, "  kind: must be agent, as the stack's name says"),
    (STACK, ["kind"], "  the spec: must be a mapping"),
    (STACK, None, "  the spec: must be a mapping"),
    (PLATFORM, {"kind": "platform"}, "  pools: is missing"),
    (PLATFORM, {"kind": "platform", "pools": {}}, "  pools: Dictionary should have at least 1"),
    (
        PLATFORM,
        {"kind": "platform", "pools": {"tpu": {"max_nodes": 1}}},
        r"  pools\.tpu: Input should be 'l40s', 'a100-40', 'a100-80', 'h100', 'h200', ",
    ),
    (
        PLATFORM,
        {"kind": "platform", "pools": {"cpu": {"max_nodes": -1}}},
        r"  pools\.cpu\.max_nodes: Input should be greater than or equal to 0",
    ),
    (PLATFORM, {"kind": "platform", "pools": {"cpu": {}}}, r"  pools\.cpu\.max_nodes: is missing"),
    (STACK.cloud, {"kind": "cloud", "provider": "gcp"}, "  provider: must be embedded or aws"),
]


@pytest.mark.parametrize(("stack", "value", "problem"), INVALID)
def test_an_invalid_spec_is_refused_with_the_place(
    stack: StackName, value: object, problem: str
) -> None:
    with pytest.raises(Refused, match=f"\n{problem}") as refused:
        parse_spec(value, stack, where="Pulumi.x.yaml")
    assert refused.value.exit_code == ExitCode.REFUSED
    assert f"the spec of stack {stack} in Pulumi.x.yaml is invalid" in refused.value.message
    assert refused.value.hint == "correct Pulumi.x.yaml"


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({"context": "lots"}, "context"),
        ({"context": "0"}, "context"),
        ({"memory": "lots"}, "memory"),
        ({"previous": {"model": "phi3-mini-q8", "context": "lots"}}, "previous.context"),
    ],
)
def test_a_quantity_that_cannot_be_read_is_refused_with_the_file_and_the_place(
    changes: dict[str, Any], place: str
) -> None:
    with pytest.raises(Refused, match="is not a") as refused:
        parse_spec(agent_values(**changes), STACK, where="Pulumi.x.yaml")
    assert "Pulumi.x.yaml" in str(refused.value)
    assert f"\n  {place}: " in refused.value.message


def test_every_problem_of_a_spec_is_told_at_once() -> None:
    with pytest.raises(Refused, match="is invalid") as refused:
        parse_spec(agent_values(parallel=0, owner="Big Team", gpus=2), STACK)
    assert refused.value.message.count("\n  ") == 3


@pytest.mark.parametrize(
    ("stack", "kind"),
    [("platform.local", "a platform"), ("local", "a cloud"), ("my-agent.local", "an agent")],
)
def test_a_spec_of_another_kind_than_the_stacks_name_says_is_refused(stack: str, kind: str) -> None:
    other: dict[str, Any] = (
        agent_values() if kind != "an agent" else {"kind": "cloud", "provider": "embedded"}
    )
    message = f"stack {stack} is {kind} stack by its name, but its spec in .* has kind"
    with pytest.raises(Refused, match=message) as refused:
        parse_spec(other, StackName.parse(stack))
    assert "write 'kind: " in refused.value.hint


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("config: [1", "Pulumi.my-agent.local.yaml line 1 is not valid YAML"),
        ("config:\n\tx: 1\n", "Pulumi.my-agent.local.yaml line 2 is not valid YAML"),
        ("config: {}\nconfig: {}\n", "line 2 is not valid YAML: found duplicate key"),
        ("config: !!python/object:os.system x\n", "is not valid YAML: could not determine"),
        ("", "has no key 'config: moltghost:spec'"),
        ("- config\n", "has no key 'config: moltghost:spec'"),
        ("config: {}\n", "has no key 'config: moltghost:spec'"),
        ("config:\n  moltghost:spec: 5\n", "must be a mapping"),
    ],
)
def test_a_broken_stack_file_is_refused_with_its_name(
    content: str, message: str, tmp_path: Path
) -> None:
    file = stack_file(tmp_path, STACK)
    file.write_text(content, encoding="utf-8")
    with pytest.raises(Refused, match=message) as refused:
        read_spec(file, STACK)
    assert file.name in refused.value.message
    assert file.name in refused.value.hint


def test_a_missing_agent_file_names_the_command_that_makes_one(tmp_path: Path) -> None:
    with pytest.raises(Refused, match=r"Pulumi\.my-agent\.local\.yaml isn't there") as refused:
        read_spec(stack_file(tmp_path, STACK), STACK)
    assert "moltghost deploy my-agent --env local --model MODEL" in refused.value.hint


def test_a_missing_environment_names_the_file_that_is_missing(tmp_path: Path) -> None:
    with pytest.raises(Refused, match=r"Pulumi\.prod\.yaml isn't there"):
        read_environment(tmp_path, "prod")


def test_a_missing_environment_that_is_an_agents_name_says_how_agents_stacks_are_called(
    tmp_path: Path,
) -> None:
    with pytest.raises(Refused, match=r"Pulumi\.my-agnt\.yaml isn't there") as refused:
        read_environment(tmp_path, "my-agnt")
    assert "agents' stacks are called NAME.ENVIRONMENT, e.g. my-agnt.local" in refused.value.hint
    assert "moltghost init FOLDER makes a project" in refused.value.hint
    for name in ("Pulumi.local.yaml", "Pulumi.dev.yaml", "Pulumi.a.dev.yaml"):
        (tmp_path / name).touch()
    with pytest.raises(Refused, match=r"Pulumi\.prod\.yaml isn't there") as refused:
        read_environment(tmp_path, "prod")
    assert "this project has: dev, local;" in refused.value.hint


@pytest.mark.parametrize("word", ["yes", "true", "on", "no"])
def test_a_truth_value_in_a_stack_file_is_no_number(word: str, tmp_path: Path) -> None:
    file = stack_file(tmp_path, STACK)
    file.write_text(
        f"config:\n  moltghost:spec:\n    {{kind: agent, owner: me, model: x, context: {word}}}\n",
        encoding="utf-8",
    )
    with pytest.raises(Refused, match=r"\n  context: .* number"):
        read_spec(file, STACK)


def test_an_environment_with_one_layer_is_none(tmp_path: Path) -> None:
    cloud = "config: {moltghost:spec: {kind: cloud, provider: embedded}}\n"
    (tmp_path / "Pulumi.dev.yaml").write_text(cloud, encoding="utf-8")
    with pytest.raises(Refused, match=r"Pulumi\.platform\.dev\.yaml isn't there"):
        read_environment(tmp_path, "dev")


def test_a_stack_that_is_no_agents_has_no_agent_spec(tmp_path: Path) -> None:
    with pytest.raises(Refused, match=r"platform\.local isn't an agent's stack"):
        read_agent(tmp_path, PLATFORM)


def test_a_pool_may_narrow_its_instance_types() -> None:
    spec = parse_spec(
        {
            "kind": "platform",
            "pools": {"l40s": {"max_nodes": 1, "instance_types": ["g6e.xlarge"]}},
        },
        PLATFORM,
    )
    assert isinstance(spec, PlatformSpec)
    assert spec.pools["l40s"].instance_types == ("g6e.xlarge",)


def test_specs_hold_no_secret_by_any_name_that_sounds_like_one() -> None:
    fields = {name for name in AgentSpec.model_fields if name != "token_rotation"}
    assert not [name for name in fields for word in ("token", "secret", "password") if word in name]


@pytest.mark.parametrize("length", [41, 64, 300])
def test_an_environments_name_is_short_enough_for_what_is_named_after_it(length: int) -> None:
    with pytest.raises(Refused, match=f"has {length} characters"):
        StackName.parse("e" * length)


def test_every_gpu_kind_of_the_catalogue_can_be_a_pool() -> None:
    """Or a sizing's hint would recommend what the config refuses."""
    assert set(POOL_NAMES) == {*gpu_kinds(), "cpu", "weights"}
    assert get_args(FixedGroupSpec.model_fields["pool"].annotation) == POOL_NAMES[:-2]
