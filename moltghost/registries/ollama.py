"""Ollama's registry: OCI's distribution protocol, with media types of its own.

A tag's manifest names layers by digest: the model's GGUF, perhaps a projector, the template, the
parameters. Only what is small is read here. Source: ollama@fb30760 server/images.go,
types/model/name.go (names and their defaults), types/model/config.go, manifest/layer.go.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from types import MappingProxyType
from typing import Any

from moltghost.errors import Refused
from moltghost.models.sources import Registry
from moltghost.registries import documents
from moltghost.registries.errors import NotFound, RegistryError, Unauthorized, Unexpected
from moltghost.registries.mirrors import ollama_registry
from moltghost.registries.resolved import FileRole, RemoteFile, Resolved
from moltghost.registries.web import (
    SMALL_BYTES,
    Answer,
    Web,
    require_safe,
    shown,
    unexpected_status,
)

_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
_OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_LAYER = "application/vnd.ollama.image."
_MOST_LAYERS, _MOST_TEXTS = 1000, 16
_LIBRARY, _LATEST = "library", "latest"
_PART = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,79}"
_NAME = re.compile(
    rf"(?:(?P<namespace>{_PART})/)?(?P<model>{_PART})(?::(?P<tag>{_PART}))?", re.ASCII
)
_VERSION = re.compile(r"\d{1,4}(?:\.\d{1,4}){1,3}[0-9A-Za-z.+-]{0,20}")
_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,79}")


@dataclass(frozen=True, slots=True)
class _Layer:
    """A blob that a manifest names. `size_bytes` of a small one may be wrong."""

    kind: str
    sha256: str
    size_bytes: int


class OllamaRegistry:
    """Ollama's registry, or a mirror of it.

    Args:
        web: what asks it.
        base: its address; by default `MOLTGHOST_OLLAMA_REGISTRY`, else Ollama's own.

    Raises:
        Unexpected: the address isn't https.
    """

    def __init__(self, web: Web, base: str | None = None) -> None:
        self._web = web
        self.base = (base or ollama_registry()).rstrip("/")
        require_safe(self.base)

    def resolve(self, name: str) -> Resolved:
        """What a name means now: `llama3.1:8b`, `someone/model:tag`; no tag means `latest`.

        Raises:
            Refused: it isn't a name of this registry, or what it names can't be served here.
            RegistryError: the registry doesn't give it; the class says why.
        """
        repository, tag = _split(name)
        spelled = f"{repository.removeprefix(f'{_LIBRARY}/')}:{tag}"
        url = f"{self.base}/v2/{repository}/manifests/{tag}"
        answer = self._web.ask(url, headers={"Accept": f"{_MANIFEST}, {_OCI_MANIFEST}"})
        if answer.status != HTTPStatus.OK:
            raise _refusal(answer, url, spelled)
        manifest = documents.parse_object(answer.content, shown(url))
        config, layers = _layers(manifest, shown(url))
        facts = documents.parse_object(self._blob(repository, config), f"{spelled}'s config")
        files = self._files(repository, layers, facts, spelled)
        return Resolved(
            registry=Registry.OLLAMA,
            name=spelled,
            revision=hashlib.sha256(answer.content).hexdigest(),
            files=files,
            quantization=_word(facts, "file_type"),
            template=self._text(repository, layers, "template"),
            system=self._text(repository, layers, "system"),
            params=self._params(repository, layers, spelled),
            renderer=_word(facts, "renderer") or None,
            parser=_word(facts, "parser") or None,
            least_ollama=_version(facts),
            licences=self._licences(repository, layers),
        )

    def _files(
        self, repository: str, layers: list[_Layer], facts: Mapping[str, Any], name: str
    ) -> tuple[RemoteFile, ...]:
        if facts.get("remote_host") or facts.get("remote_model"):
            raise Refused(
                f"{name} runs on Ollama's own servers: its registry has no weights of it",
                "choose a model with weights; `moltghost models --recommended` lists some",
            )
        kinds = {layer.kind for layer in layers}
        if "tensor" in kinds or facts.get("model_format") == "safetensors":
            raise Refused(
                f"{name} is MLX or safetensors, not GGUF, and only GGUF files are covered",
                "choose another tag of it",
            )
        if "adapter" in kinds:
            raise Refused(
                f"{name} has an adapter (LoRA) in a layer of its own, and adapters aren't covered",
                "choose a model that it is merged into",
            )
        models = [layer for layer in layers if layer.kind == FileRole.MODEL]
        if len(models) != 1:
            raise documents.malformed(name, f"it has {len(models)} models in its manifest")
        projectors = [layer for layer in layers if layer.kind == FileRole.PROJECTOR]
        return tuple(
            RemoteFile(
                name=layer.kind,
                url=self._blob_url(repository, layer),
                sha256=layer.sha256,
                size_bytes=layer.size_bytes,
                role=FileRole(layer.kind),
            )
            for layer in (*models, *projectors)
        )

    def _text(self, repository: str, layers: list[_Layer], kind: str) -> str | None:
        found = next((layer for layer in layers if layer.kind == kind), None)
        return None if found is None else self._blob(repository, found).decode("utf-8", "replace")

    def _params(self, repository: str, layers: list[_Layer], name: str) -> Mapping[str, object]:
        found = next((layer for layer in layers if layer.kind == "params"), None)
        if found is None:
            return MappingProxyType({})
        content = self._blob(repository, found)
        return MappingProxyType(documents.parse_object(content, f"{name}'s parameters"))

    def _licences(self, repository: str, layers: list[_Layer]) -> tuple[str, ...]:
        found = [layer for layer in layers if layer.kind == "license"][:_MOST_TEXTS]
        return tuple(self._blob(repository, layer).decode("utf-8", "replace") for layer in found)

    def _blob(self, repository: str, layer: _Layer) -> bytes:
        """A small blob. Its digest decides; the size in a manifest may be wrong."""
        url = self._blob_url(repository, layer)
        answer = self._web.ask(url, most_bytes=SMALL_BYTES)
        if answer.status != HTTPStatus.OK:
            raise _refusal(answer, url, f"{repository}@{layer.sha256}")
        found = hashlib.sha256(answer.content).hexdigest()
        if found != layer.sha256:
            raise Unexpected(
                f"{shown(url)} isn't what its name says: its sha256 is {found}",
                "try again later; if a mirror is set, check its address",
            )
        return answer.content

    def _blob_url(self, repository: str, layer: _Layer) -> str:
        return f"{self.base}/v2/{repository}/blobs/sha256:{layer.sha256}"


def _split(name: str) -> tuple[str, str]:
    """Repository and tag of a name."""
    match = _NAME.fullmatch(name)
    if match is None:
        raise Refused(
            f"{name!r} isn't a name of Ollama's registry",
            "write MODEL:TAG or NAMESPACE/MODEL:TAG, such as ollama:llama3.1:8b",
        )
    namespace, tag = match["namespace"] or _LIBRARY, match["tag"] or _LATEST
    return f"{namespace}/{match['model']}", tag


def _layers(manifest: Mapping[str, Any], where: str) -> tuple[_Layer, list[_Layer]]:
    """The config and the layers that a manifest names."""
    layers = manifest.get("layers")
    if not isinstance(layers, list) or len(layers) > _MOST_LAYERS:
        raise documents.malformed(where, "it has no list of layers, or too long a one")
    return _layer(manifest.get("config"), where), [_layer(each, where) for each in layers]


def _layer(record: object, where: str) -> _Layer:
    if not isinstance(record, dict):
        raise documents.malformed(where, "a layer isn't an object")
    digest = str(record.get("digest", ""))
    kind = str(record.get("mediaType", "")).removeprefix(_LAYER)
    algorithm, _, digits = digest.partition(":")
    if algorithm != "sha256":
        raise documents.malformed(where, f"{digest[:80]!r} isn't a sha256")
    return _Layer(
        kind, documents.sha256_of(digits, where), documents.size_of(record.get("size"), where)
    )


def _word(facts: Mapping[str, Any], key: str) -> str:
    """A short name from a config; empty where there is none."""
    value = facts.get(key, "")
    return value if isinstance(value, str) and _WORD.fullmatch(value) else ""


def _version(facts: Mapping[str, Any]) -> str | None:
    value = facts.get("requires")
    return value if isinstance(value, str) and _VERSION.fullmatch(value) else None


def _refusal(answer: Answer, url: str, name: str) -> RegistryError:
    if answer.status == HTTPStatus.NOT_FOUND:
        return NotFound(
            f"{shown(url)}: Ollama's registry has no {name}",
            "look up the model's tags at https://ollama.com/library",
        )
    if answer.status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        return Unauthorized(
            f"{shown(url)} wants a login: {name} is private, or doesn't exist",
            "only public models of Ollama's registry can be had; check the name",
        )
    if answer.status == HTTPStatus.PRECONDITION_FAILED:
        return Unexpected(
            f"{shown(url)}: the registry gives {name} to newer versions of Ollama only (412)",
            "choose another model or tag",
        )
    return unexpected_status(answer)
