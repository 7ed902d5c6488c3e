"""The objects that a cluster starts with: resource definitions, KWOK's stages, roles."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterable, Mapping, Sequence

import yaml

from moltghost.errors import Failed
from moltghost.files import write_private
from moltghost.kube.client import Client
from moltghost.kube.errors import ApiError, UnknownKind
from moltghost.kube.transport import Object
from moltghost.local.build import programs
from moltghost.local.cluster.layout import Layout

_MANAGER = "moltghost-local"

_SERVED_WITHIN_SECONDS = 20.0
_POLL_SECONDS = 0.05


def bootstrap(client: Client, layout: Layout, manifests: Sequence[str]) -> None:
    """Apply the objects, unless these were already applied to this cluster.

    Args:
        client: the administrator's.
        layout: where it is remembered what was applied.
        manifests: YAML of each object beside the resource definitions.

    Raises:
        Failed: the API server refused an object.
    """
    definitions = _definitions()
    done = {"cluster": client.cluster_uid(), "objects": _digest([*definitions, *manifests])}
    if _was_done(layout, done):
        return
    parsed = [_parse(manifest) for manifest in definitions]
    for definition in parsed:
        client.apply(definition, manager=_MANAGER)
    for definition in parsed:
        _wait_until_served(client, definition)
    for manifest in manifests:
        client.apply(_parse(manifest), manager=_MANAGER)
    write_private(layout.bootstrapped, json.dumps(done), durable=False)


def set_ready_delay(client: Client, seconds: float) -> None:
    """Change how long a pod on a simulated node takes until it is ready.

    Raises:
        Failed: the API server does not answer.
    """
    body = {"spec": {"delay": {"durationMilliseconds": round(seconds * 1000)}}}
    stage = ("kwok.x-k8s.io/v1alpha1", "Stage", "pod-ready", None)
    client.patch(*stage, body, manager=_MANAGER)


def _definitions() -> list[str]:
    """YAML of every custom resource definition."""
    return [path.read_text() for path in programs.custom_resources()]


def _parse(manifest: str) -> Object:
    parsed: Object = yaml.load(manifest, Loader=yaml.CSafeLoader)
    return parsed


def _digest(manifests: Iterable[str]) -> str:
    return hashlib.sha256("\0".join(manifests).encode()).hexdigest()


def _was_done(layout: Layout, done: Mapping[str, str]) -> bool:
    try:
        return bool(json.loads(layout.bootstrapped.read_text()) == done)
    except (FileNotFoundError, ValueError):
        return False


def _wait_until_served(client: Client, definition: Object) -> None:
    """Discovery lists a new kind a moment after its definition is established."""
    spec = definition["spec"]
    api_version = f"{spec['group']}/{spec['versions'][0]['name']}"
    kind = spec["names"]["kind"]
    deadline = time.monotonic() + _SERVED_WITHIN_SECONDS
    while True:
        try:
            client.resource_type(api_version, kind)
        except (UnknownKind, ApiError) as error:
            if time.monotonic() > deadline:
                raise Failed(
                    f"the API server does not serve {kind} in {api_version} after "
                    f"{_SERVED_WITHIN_SECONDS:.0f} s",
                    "run moltghost local up again; if that does not help, moltghost local down "
                    "and up make a new cluster",
                ) from error
            time.sleep(_POLL_SECONDS)
        else:
            return
