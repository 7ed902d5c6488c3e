"""What the registries of models say: Ollama's, and the Hugging Face hub.

A name that moves (a tag, a branch) becomes bytes that don't: every file with its sha256, its size
and an address. Nothing here writes a file or knows the catalogue; weights are downloaded elsewhere.
What a registry answers is an input like any other: it is bounded, checked, and refused in words.
"""

from moltghost.registries.errors import (
    Gated,
    NotFound,
    RateLimited,
    RegistryError,
    Unauthorized,
    Unexpected,
    Unreachable,
)
from moltghost.registries.hugging_face import HuggingFace, Repository
from moltghost.registries.ollama import OllamaRegistry
from moltghost.registries.ranges import RemoteStream
from moltghost.registries.resolved import FileRole, RemoteFile, Resolved
from moltghost.registries.tokens import HubToken, hub_token
from moltghost.registries.web import Web

__all__ = [
    "FileRole",
    "Gated",
    "HubToken",
    "HuggingFace",
    "NotFound",
    "OllamaRegistry",
    "RateLimited",
    "RegistryError",
    "RemoteFile",
    "RemoteStream",
    "Repository",
    "Resolved",
    "Unauthorized",
    "Unexpected",
    "Unreachable",
    "Web",
    "hub_token",
]
