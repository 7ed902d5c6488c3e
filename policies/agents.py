"""What makes an agent private and honest: its gate, its weights, its node, one context number."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from .pods import (
    PODS,
    Container,
    Pod,
    env_of,
    has_pods,
    namespace_of,
    of_each_pod,
    pods_in,
    pods_of,
)
from .reading import document, get, has, items, labels, mapping, matches
from .rule import CRITICAL, HIGH, Config, rule, stack_rule, texts
from .subject import Subject

_CONFIG_MAP = "kubernetes:core/v1:ConfigMap"
_NAMESPACE = "kubernetes:core/v1:Namespace"
_SERVICE = "kubernetes:core/v1:Service"
_AGENT, _OWNER = "moltghost.dev/agent", "moltghost.dev/owner"
_SHARING = "moltghost.dev/sharing"
_ENVIRONMENT = "moltghost.dev/environment"
_CONTEXT_FACT = "moltghost.dev/context"
_CONTEXT_VARIABLES = ("OLLAMA_CONTEXT_LENGTH", "LOADER_CONTEXT")
LOOPBACK = re.compile(r"^(https?://)?(127\.0\.0\.1|localhost|\[::1\])(:\d+)?/?$")
_OLLAMA_PORT = 11434
# Anything that fetches a model from elsewhere: ollama pull, ollama run (which pulls what it lacks),
# or a web address that is not loopback nor inside the cluster.
_ADDRESS = re.compile(r"https?://([^/\s:\"']+)")
_BUCKET = re.compile(r"s3://[^\s\"',]+")


def is_ollama(container: Container) -> bool:
    """Whether a container runs Ollama's server."""
    image = str(get(container.spec, "image", "")).partition("@")[0]
    name = image.rpartition("/")[2].partition(":")[0]
    return name == "ollama" or container.name == "ollama"


@stack_rule(
    why="Ollama authenticates nobody, and lets everyone pull, push and delete models.",
    fix="set OLLAMA_HOST to 127.0.0.1:11434, publish no port of it, and put the gate before it",
    severity=CRITICAL,
    types=PODS,
)
def ollama_gated(subjects: Sequence[Subject], _config: Config) -> Iterator[tuple[Subject, str]]:
    """Ollama is reached through its gate only."""
    for subject, pod in pods_in(subjects):
        for each in filter(is_ollama, pod.containers):
            for problem in _gate_problems(pod, each):
                yield subject, problem
            for problem in _bypasses(subject, pod, each, subjects):
                yield subject, problem


def _gate_problems(pod: Pod, ollama: Container) -> Iterator[str]:
    host = env_of(ollama).get("OLLAMA_HOST", "")
    if not LOOPBACK.match(host):
        where = host or "every address, which is its default"
        yield f"{ollama} listens on {where}, so it can be reached past the gate"
    if items(ollama.spec, "ports"):
        yield f"{ollama} publishes a port"
    gates = [each for each in pod.containers if each.runs_on and not is_ollama(each)]
    if not any(items(each.spec, "ports") for each in gates):
        yield f"no container in front of {ollama} takes the requests"


def _bypasses(
    subject: Subject, pod: Pod, ollama: Container, subjects: Sequence[Subject]
) -> Iterator[str]:
    """Services that lead to Ollama's own port."""
    own = mapping(pod.metadata, "labels")
    for service in (each for each in subjects if each.type == _SERVICE):
        if namespace_of(service) != namespace_of(subject):
            continue
        chosen = mapping(service.props, "spec.selector")
        if not chosen or any(own.get(key) != value for key, value in chosen.items()):
            continue
        for port in items(service.props, "spec.ports"):
            if get(port, "targetPort", get(port, "port")) == _OLLAMA_PORT:
                yield f"Service {service.name} leads to {ollama} past the gate"


@stack_rule(
    why="With two numbers Ollama reloads the model, cuts prompts short or runs out of memory.",
    fix="set the context in one place, the agent's config, and take every number from its plan",
    severity=HIGH,
    types=PODS,
)
def context_one_number(
    subjects: Sequence[Subject], _config: Config
) -> Iterator[tuple[Subject, str]]:
    """An agent has one context length: in Ollama, the loader, OpenClaw and the labels."""
    for subject, pod in pods_in(subjects):
        for each in filter(is_ollama, pod.containers):
            if "OLLAMA_CONTEXT_LENGTH" not in env_of(each):
                yield subject, f"{each} has no OLLAMA_CONTEXT_LENGTH, so Ollama chooses"
    spaces: dict[str, list[tuple[Subject, str, str]]] = {}
    for subject in subjects:
        for place, number in _contexts(subject):
            spaces.setdefault(namespace_of(subject), []).append((subject, place, number))
    for found in spaces.values():
        numbers = sorted({number for _, _, number in found})
        if len(numbers) > 1:
            # Engines hand resources over in any order; the message is about the pod, always.
            found.sort(key=lambda each: (not has_pods(each[0]), each[0].urn, each[1]))
            places = "; ".join(f"{place} {number}" for _, place, number in found)
            yield found[0][0], f"its agent's context length is {' or '.join(numbers)}: {places}"


def _contexts(subject: Subject) -> Iterator[tuple[str, str]]:
    """Every place of an object that says the context length, with what it says."""
    for pod in pods_of(subject):
        own = mapping(subject.props, "metadata")
        for what, metadata in (("annotation", own), ("pod annotation", pod.metadata)):
            notes = mapping(metadata, "annotations")
            if _CONTEXT_FACT in notes:
                yield what, str(notes[_CONTEXT_FACT])
        for each in pod.containers:
            variables = env_of(each)
            for name in _CONTEXT_VARIABLES:
                if name in variables:
                    yield f"{name} of {each.name}", variables[name]
    if subject.type == _CONFIG_MAP:
        data = mapping(subject.props, "data")
        for name in (each for each in data if each.endswith(".json")):
            yield from _client_contexts(name, document(data[name]))


def _client_contexts(file: str, config: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What OpenClaw's config says about each model."""
    for provider in mapping(config, "models.providers").values():
        for model in items(provider, "models"):
            for path in ("contextWindow", "contextTokens", "params.num_ctx"):
                if has(model, path):
                    yield f"{path} in {file}", f"{get(model, path):.0f}"


@rule(
    why="Weights from elsewhere are unverified code for the GPU, and need a way out.",
    fix="copy them with `weights --from` the environment's bucket, and set OLLAMA_NO_CLOUD=1",
    severity=HIGH,
    types=PODS,
    schema={
        "stores": texts(
            [
                "s3://moltghost-weights-{environment}",
                "s3://moltghost-weights-{environment}[/-]*",
            ],
            "Stores that may be read, * matches; {environment} is the pod's label "
            "moltghost.dev/environment.",
        ),
        "endpoints": texts(
            ["s3.*.amazonaws.com", "*.s3.*.amazonaws.com"], "Hosts of the store, * matches."
        ),
    },
)
@of_each_pod
def weights_from_store(pod: Pod, config: Config) -> Iterator[str]:
    """Model servers read weights from their environment's store, and from nowhere else."""
    if not any(is_ollama(each) for each in pod.containers):
        return
    environment = mapping(pod.metadata, "labels").get(_ENVIRONMENT, "*")
    allowed = [str(each).replace("{environment}", str(environment)) for each in config["stores"]]
    sources = 0
    for each in pod.containers:
        words = _words(each)
        for bucket in (found for word in words for found in _BUCKET.findall(word)):
            sources += 1
            if not matches(bucket, allowed):
                yield f"{each} reads weights from a store that isn't its environment's"
        if "pull" in words or (is_ollama(each) and "run" in words):
            yield f"{each} pulls a model from a public registry"
        for host in (found for word in words for found in _ADDRESS.findall(word)):
            if not _inside(host, config["endpoints"]):
                yield f"{each} may fetch from {host}"
        if is_ollama(each) and env_of(each).get("OLLAMA_NO_CLOUD") != "1":
            yield f"{each} may hand requests to Ollama's cloud: OLLAMA_NO_CLOUD is not 1"
    if not sources:
        yield "no container of it reads a weights store"


def _words(container: Container) -> list[str]:
    texts = [str(each) for part in ("command", "args") for each in items(container.spec, part)]
    return [word for text in texts for word in text.split()] + list(env_of(container).values())


def _inside(host: str, endpoints: Sequence[str]) -> bool:
    """Whether an address stays on the machine, in the cluster or at the store."""
    return (
        host in ("127.0.0.1", "localhost")
        or host.endswith((".svc", ".svc.cluster.local"))
        or matches(host, endpoints)
    )


@stack_rule(
    why="Containers on one GPU node share a kernel driver, which has been escaped before.",
    fix="require podAntiAffinity over all namespaces on kubernetes.io/hostname, or label the "
    "namespace moltghost.dev/sharing=owner",
    severity=HIGH,
    types=PODS,
    sources=("EKS BPG multitenancy",),
)
def node_dedicated(subjects: Sequence[Subject], _config: Config) -> Iterator[tuple[Subject, str]]:
    """An agent's GPU node is its own, or its owner's if its namespace says so."""
    shared = {
        namespace_of(each)
        for each in subjects
        if each.type == _NAMESPACE and labels(each.props).get(_SHARING) == "owner"
    }
    for subject, pod in pods_in(subjects):
        if not pod.gpus:
            continue
        keys = {_AGENT, _OWNER} if namespace_of(subject) in shared else {_AGENT}
        rule = "affinity.podAntiAffinity.requiredDuringSchedulingIgnoredDuringExecution"
        if not any(_keeps_away(term, keys) for term in items(pod.spec, rule)):
            others = "others' agents" if len(keys) > 1 else "other agents"
            yield subject, f"its GPU node may also be that of {others}"


def _keeps_away(term: Any, keys: set[str]) -> bool:
    """A term that keeps it off the nodes of all namespaces' pods but its own (or its owner's)."""
    everywhere = "namespaceSelector" in term and not mapping(term, "namespaceSelector")
    apart = any(
        get(each, "key") in keys and get(each, "operator") == "NotIn"
        for each in items(term, "labelSelector.matchExpressions")
    )
    return get(term, "topologyKey") == "kubernetes.io/hostname" and everywhere and apart
