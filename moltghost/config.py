"""Typed stack config: what a person writes in ``Pulumi.<stack>.yaml`` under ``moltghost:spec``.

One project, three kinds of stack: ``prod`` (cloud), ``platform.prod`` (platform) and
``my-agent.prod`` (agent). The stack's name says environment and agent, so the spec doesn't repeat
them. The spec holds no secret: an object read from Pulumi config loses its secretness.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    PlainSerializer,
    TypeAdapter,
    ValidationError,
    WithJsonSchema,
)
from pydantic_core import ErrorDetails, PydanticCustomError
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from moltghost.config_aws import AwsCloudSpec as AwsCloudSpec
from moltghost.config_aws import GpuPoolName, Spec
from moltghost.config_errors import in_words
from moltghost.errors import Refused
from moltghost.models.project_models import NO_MODELS, ProjectModels, project_models
from moltghost.sizing.request import MOST_SLOTS
from moltghost.units import format_context, parse_context, parse_gpu_memory_gb

NAMESPACE = "moltghost"
"""Of our config keys, whatever the project is called."""
SPEC_KEY = f"{NAMESPACE}:spec"
PLATFORM_PREFIX = "platform"

PoolName = Literal[GpuPoolName, "cpu", "weights"]
POOL_NAMES: tuple[PoolName, ...] = get_args(PoolName)

# "agent-" + name must stay a DNS label (63 characters), and so must "<name>-<suffix>" of what
# is derived from it; an environment's name is in the names of its cluster and bucket.
NAME_MAX = 40
_DNS_LABEL = re.compile(r"[a-z]([a-z0-9-]*[a-z0-9])?")


def _tokens(value: object) -> object:
    return _read(parse_context, value)


def _nominal_gb(value: object) -> object:
    return _read(parse_gpu_memory_gb, value)


def _read(parse: Callable[[str], int], value: object) -> object:
    """A quantity that was written as text, or the value; pydantic names the place of an error."""
    if not isinstance(value, str):
        return _no_truth_value(value)
    try:
        return parse(value)
    except Refused as refused:
        raise PydanticCustomError("quantity", f"{refused.message}; {refused.hint}") from refused


def _no_truth_value(value: object) -> object:
    """The value, unless it is true or false, which pydantic would read as 1 or 0."""
    if isinstance(value, bool):
        raise PydanticCustomError("number", "Input should be a number, not true or false")
    return value


Tokens = Annotated[
    int,
    Field(gt=0),
    BeforeValidator(_tokens, json_schema_input_type=int | str),
    PlainSerializer(format_context, return_type=str),
]
"""A number of tokens, written ``32k`` or ``32768``."""

NominalGb = Annotated[
    int,
    Field(gt=0),
    BeforeValidator(_nominal_gb, json_schema_input_type=int | str),
    PlainSerializer(lambda gb: f"{gb}gb", return_type=str),
]
"""GPU memory in total over the GPUs, in the cards' nominal GB, written ``160gb``."""

Count = Annotated[int, BeforeValidator(_no_truth_value)]
"""A whole number of things."""

_LABEL = r"[a-z0-9]([a-z0-9._-]{0,61}[a-z0-9])?"


def _label(value: str) -> str:
    if not re.fullmatch(_LABEL, value):
        raise PydanticCustomError(
            "label",
            "use small letters, digits, '.', '_' and '-', 63 at most, "
            "starting and ending with a letter or digit",
        )
    return value


Label = Annotated[str, AfterValidator(_label), WithJsonSchema({"type": "string"})]
"""A value that is valid as a Kubernetes label."""


class EmbeddedCloudSpec(Spec):
    """The lower layer of an environment on this machine: a real Kubernetes, simulated GPU nodes."""

    kind: Literal["cloud"]
    """What the stack is."""
    provider: Literal["embedded"]
    kubeconfig: str | None = None
    """Path of a kubeconfig to use in place of the embedded cluster's own."""
    machine: bool = False
    """Whether this machine is a node too, on which small models really run (`gpu: none`)."""


CloudSpec = EmbeddedCloudSpec | AwsCloudSpec
"""The lower layer of an environment: what the cloud provides."""


class PoolSpec(Spec):
    """One pool: a class of nodes that Karpenter scales from zero."""

    max_nodes: Count = Field(ge=0)
    """Nodes at most, the one that an update needs for its surge included."""
    instance_types: tuple[str, ...] = ()
    """EC2 types to choose from; empty means every type that the catalogue has for the pool."""


class PlatformSpec(Spec):
    """The upper layer of an environment: what runs in the cluster for every agent."""

    kind: Literal["platform"]
    """What the stack is."""
    pools: dict[PoolName, PoolSpec] = Field(min_length=1)
    """The pools that the environment has; one that isn't named doesn't exist."""


class ModelSpec(Spec):
    """Which model an agent runs and on what: all that an update or a scale changes."""

    model: str
    """A name of the catalogue with its quantization: ``llama3.1-70b-q4``.

    Or the name of a record in the project's folder ``models/``.
    """
    context: Tokens
    """Tokens of context: one number for sizing, Ollama and OpenClaw."""
    parallel: Count = Field(default=1, ge=1, le=MOST_SLOTS)
    """Requests served side by side; each has a KV cache of the whole context."""
    kv_cache: Literal["f16", "q8_0", "q4_0"] = "f16"
    """Type of the KV cache; a smaller one makes room for more context at some quality."""
    gpu: str | None = None
    """A GPU kind such as ``h100``; replaces the floor of the model's size class.

    ``none`` runs the model on the CPU of the machine's own node.
    """
    memory: NominalGb | None = None
    """GPU memory in total, such as ``160gb``; replaces the floor of the model's size class."""
    sharing: Literal["dedicated", "owner"] = "dedicated"
    """``owner`` lets agents of the same owner share an 8-GPU node."""


class AgentSpec(ModelSpec):
    """One agent in one environment."""

    kind: Literal["agent"]
    """What the stack is."""
    owner: Label
    """Who answers for the agent and its cost; a label on everything it has."""
    strategy: Literal["surge", "in-place"] = "surge"
    """How a change of the model server is carried out: without a gap, or with one but no surge."""
    previous: ModelSpec | None = None
    """What ran before the last change: quota and admission make room for both until the next."""
    token_rotation: Count = Field(default=1, ge=1)
    """Raise it to replace the agent's tokens; both pods restart."""
    moves: Count = Field(default=0, ge=0)
    """Raise it to bring the same model up on a fresh node, as ``moltghost agent move`` does."""
    paused: bool = False
    """No pods run and no node is paid for; namespace, tokens and memory stay."""

    def as_written(self) -> dict[str, Any]:
        """As a person would write it: defaults left out, quantities in their short form."""
        return {"kind": self.kind, **self.model_dump(mode="json", exclude_defaults=True)}

    @property
    def model_part(self) -> ModelSpec:
        """What an update or a scale changes, and what ``previous`` remembers."""
        return ModelSpec.model_validate(
            {name: getattr(self, name) for name in ModelSpec.model_fields}
        )


StackSpec = Annotated[
    Annotated[CloudSpec, Field(discriminator="provider")] | PlatformSpec | AgentSpec,
    Field(discriminator="kind"),
]
_SPEC: TypeAdapter[CloudSpec | PlatformSpec | AgentSpec] = TypeAdapter(StackSpec)
_KINDS: Mapping[tuple[int | str, ...], type[Spec]] = {
    ("agent",): AgentSpec,
    ("platform",): PlatformSpec,
    ("cloud", "embedded"): EmbeddedCloudSpec,
    ("cloud", "aws"): AwsCloudSpec,
}


@dataclass(frozen=True)
class StackName:
    """A stack's name, taken apart: ``prod``, ``platform.prod``, ``my-agent.prod``."""

    environment: str
    layer: Literal["cloud", "platform", "agent"]
    agent: str = ""

    @classmethod
    def parse(cls, text: str) -> StackName:
        """Take a stack's name apart.

        Raises:
            Refused: it is none of the three forms.
        """
        head, dot, environment = text.partition(".")
        if not dot:
            return cls(_checked_label(head, "environment"), "cloud")
        _checked_label(environment, "environment")
        if head == PLATFORM_PREFIX:
            return cls(environment, "platform")
        return cls(environment, "agent", checked_agent_name(head))

    @classmethod
    def of_agent(cls, agent: str, environment: str) -> StackName:
        """The stack of an agent; its name is checked."""
        return cls(_checked_label(environment, "environment"), "agent", checked_agent_name(agent))

    @property
    def cloud(self) -> StackName:
        """The cloud stack of the same environment."""
        return StackName(self.environment, "cloud")

    @property
    def platform(self) -> StackName:
        """The platform stack of the same environment."""
        return StackName(self.environment, "platform")

    def __str__(self) -> str:
        prefix = {"cloud": "", "platform": f"{PLATFORM_PREFIX}.", "agent": f"{self.agent}."}
        return prefix[self.layer] + self.environment


def checked_agent_name(name: str) -> str:
    """The name, if an agent may be called so.

    Raises:
        Refused: it is no DNS label, too long, or reserved.
    """
    if name == PLATFORM_PREFIX:
        raise Refused("no agent may be called 'platform'", "that is the environment's own stack")
    return _checked_label(name, "agent")


def _checked_label(name: str, what: str) -> str:
    if len(name) > NAME_MAX:
        raise Refused(
            f"{what} name {name!r} has {len(name)} characters",
            f"use {NAME_MAX} at most: namespaces, volumes and buckets are named after it",
        )
    if not _DNS_LABEL.fullmatch(name):
        raise Refused(
            f"{what} name {name!r} is not a valid name",
            "use small letters, digits and dashes, starting with a letter: my-agent",
        )
    return name


def stack_file(project: Path, stack: StackName) -> Path:
    """Where Pulumi keeps the stack's config."""
    return project / f"Pulumi.{stack}.yaml"


def read_spec(file: Path, stack: StackName) -> CloudSpec | PlatformSpec | AgentSpec:
    """The spec in a stack's config file.

    Raises:
        Refused: the file is missing, is no YAML, has no spec, or the spec is invalid; each
            problem with its place.
    """
    if not file.is_file():
        raise Refused(
            f"stack {stack} has no config: {file.name} isn't there", _create_hint(file, stack)
        )
    try:
        document = YAML(typ="safe").load(file)
    except YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f" line {mark.line + 1}" if mark else ""
        raise Refused(
            f"{file.name}{line} is not valid YAML: {getattr(error, 'problem', error)}",
            f"correct {file}",
        ) from error
    values = document.get("config") if isinstance(document, Mapping) else None
    if not isinstance(values, Mapping) or SPEC_KEY not in values:
        raise Refused(f"{file.name} has no key 'config: {SPEC_KEY}'", f"correct {file}")
    return parse_spec(values[SPEC_KEY], stack, where=file.name)


def parse_spec(
    value: Any, stack: StackName, *, where: str = SPEC_KEY
) -> CloudSpec | PlatformSpec | AgentSpec:
    """The typed spec of ``value``, which must be of the kind that the stack's name says.

    Raises:
        Refused: with every problem and its place.
    """
    try:
        spec = _SPEC.validate_python(value)
    except ValidationError as error:
        problems = "\n".join(f"  {_problem(each, stack)}" for each in error.errors())
        raise Refused(
            f"the spec of stack {stack} in {where} is invalid:\n{problems}", f"correct {where}"
        ) from error
    if spec.kind != stack.layer:
        raise Refused(
            f"stack {stack} is {_article(stack.layer)} stack by its name, "
            f"but its spec in {where} has kind {spec.kind!r}",
            f"write 'kind: {stack.layer}', or name the stack after what it is",
        )
    return spec


def _problem(problem: ErrorDetails, stack: StackName) -> str:
    """What is wrong and where; a check of the whole spec names the place itself."""
    path = problem["loc"]
    if problem["type"].startswith("union_tag"):
        kind = f"kind: must be {stack.layer}, as the stack's name says"
        return "provider: must be embedded or aws" if path else kind
    # The path starts with what tells the kinds of spec apart.
    depth = 2 if path[:1] == ("cloud",) else 1
    spec, inside = _KINDS.get(path[:depth], AgentSpec), path[depth:]
    place = ".".join(str(part) for part in inside if part != "[key]")
    whole = "" if problem["type"] == "value_error" else "the spec: "
    return (f"{place}: " if place else whole) + in_words(problem, spec, inside)


def _article(layer: str) -> str:
    return f"an {layer}" if layer == "agent" else f"a {layer}"


def _create_hint(file: Path, stack: StackName) -> str:
    if stack.layer == "agent":
        return (
            f"moltghost deploy {stack.agent} --env {stack.environment} --model MODEL creates it; "
            f"moltghost agent list shows what is there"
        )
    prefix = f"{PLATFORM_PREFIX}." if stack.layer == "platform" else ""
    others = sorted(
        each.name
        for each in file.parent.glob(f"Pulumi.{prefix}*.yaml")
        if each.name.count(".") == stack_file(file.parent, stack).name.count(".")
    )
    made = "moltghost init FOLDER makes a project with an environment"
    if prefix:
        return f"copy another environment's, {others[0]}, and change it" if others else made
    names = ", ".join(each.split(".")[1] for each in others)
    return (
        f"{f'this project has: {names}' if names else made}; if an agent was meant: "
        f"agents' stacks are called NAME.ENVIRONMENT, e.g. {stack}.local"
    )


@dataclass(frozen=True)
class EnvironmentConfig:
    """Both layers' config of one environment, and the models that its agents may name."""

    name: str
    cloud: CloudSpec
    platform: PlatformSpec
    models: ProjectModels = field(default=NO_MODELS, compare=False)


def read_environment(project: Path, name: str) -> EnvironmentConfig:
    """Config of the two layers of an environment, with the project's own models.

    Raises:
        Refused: a file is missing or invalid.
    """
    stack = StackName(_checked_label(name, "environment"), "cloud")
    cloud = read_spec(stack_file(project, stack), stack)
    platform = read_spec(stack_file(project, stack.platform), stack.platform)
    assert isinstance(cloud, CloudSpec) and isinstance(platform, PlatformSpec)  # noqa: S101 kinds were checked
    return EnvironmentConfig(name, cloud, platform, project_models(project))


def read_agent(project: Path, stack: StackName, file: Path | None = None) -> AgentSpec:
    """Config of an agent stack, from ``file`` where given.

    Raises:
        Refused: the file is missing or invalid, or the stack is no agent's.
    """
    if stack.layer != "agent":
        raise Refused(
            f"{stack} isn't an agent's stack", "agents' stacks are called NAME.ENVIRONMENT"
        )
    spec = read_spec(file or stack_file(project, stack), stack)
    assert isinstance(spec, AgentSpec)  # noqa: S101 the kind was checked
    return spec
