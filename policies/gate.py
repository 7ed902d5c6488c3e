"""The gate before Ollama: what its config lets through."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from .agents import LOOPBACK, is_ollama
from .caddyfile import openings, options, parse
from .pods import PODS, Pod, pods_in
from .reading import Undecided, get, items, mapping
from .rule import CRITICAL, Config, stack_rule, texts
from .subject import Subject

_CONFIG_MAP = "kubernetes:core/v1:ConfigMap"


@stack_rule(
    why="A gate that asks nobody, or lets pull and delete through, is only another port.",
    fix="ask for the token of the Secret on every path to Ollama, and name the paths",
    severity=CRITICAL,
    types=PODS,
    schema={
        "paths": texts(
            [
                *("/api/chat", "/api/generate", "/api/show"),
                *("/api/tags", "/api/ps", "/api/version"),
            ],
            "Paths of Ollama that a request with the token reaches.",
        ),
        "open": texts(["/metrics", "/metrics/loader"], "Paths that a request without it reaches."),
    },
)
def gate_closed(subjects: Sequence[Subject], config: Config) -> Iterator[tuple[Subject, str]]:
    """The gate lets through only what is named, and nothing of Ollama without its token."""
    readable: set[tuple[str, str]] = set()
    for subject in (each for each in subjects if each.type == _CONFIG_MAP):
        data = mapping(subject.props, "data")
        for file in (each for each in data if "caddyfile" in each.lower()):
            readable.add((subject.namespace, subject.object_name))
            for problem in _lets_through(str(data[file]), config):
                yield subject, f"{file} {problem}"
    unread = {
        subject.title
        for subject, pod in pods_in(subjects)
        if any(map(is_ollama, pod.containers))
        and not readable & {(subject.namespace, name) for name in _config_maps(pod)}
    }
    if unread:
        names = ", ".join(sorted(unread))
        raise Undecided(f"no Caddyfile can be read of {len(unread)} of the model servers: {names}")


def _config_maps(pod: Pod) -> Iterator[str]:
    for volume in items(pod.spec, "volumes"):
        yield str(get(volume, "configMap.name", ""))
        for source in items(volume, "projected.sources"):
            yield str(get(source, "configMap.name", ""))


def _lets_through(text: str, config: Config) -> Iterator[str]:
    try:
        directives = parse(text)
    except ValueError as error:
        yield f"can't be read: {error}"
        return
    if options(directives).get("admin") != ("off",):
        yield "leaves Caddy's admin interface on: whoever reaches it changes the gate"
    ways = list(openings(directives))
    guarded = {each.upstream for each in ways if each.token}
    for way in ways:
        where = ", ".join(sorted(way.paths or ())) or "every path"
        allowed = config["paths" if way.token else "open"]
        past = not way.token and way.upstream in guarded
        if past or not way.paths or not way.paths <= set(allowed):
            yield f"lets {where} through{'' if way.token else ' without the token'}"
        elif way.token and way.changed:
            yield f"changes what it lets through on {where}"
        if not all(LOOPBACK.match(each) for each in way.upstream.split()):
            yield f"sends requests to {way.upstream}"
