"""Where an address of a registry is asked: there, or at the mirror that the user has set.

Plans and records name the registry itself, so that they are the same on every machine.
"""

from __future__ import annotations

import os

from moltghost.models.sources import HUB_URL, LIBRARY_URL
from moltghost.registries.tokens import HubToken, hub_token

HUB_VARIABLE, OLLAMA_VARIABLE = "HF_ENDPOINT", "MOLTGHOST_OLLAMA_REGISTRY"


def hub_endpoint() -> str:
    """The address of the Hugging Face hub: `HF_ENDPOINT`, else its own."""
    return (os.environ.get(HUB_VARIABLE) or HUB_URL).rstrip("/")


def ollama_registry() -> str:
    """The address of Ollama's registry: `MOLTGHOST_OLLAMA_REGISTRY`, else its own."""
    return (os.environ.get(OLLAMA_VARIABLE) or LIBRARY_URL).rstrip("/")


def mirrored(url: str) -> tuple[str, HubToken | None]:
    """The address to ask for a file, and the token to show there.

    Raises:
        Refused: the user's token can't be read.
    """
    if url.startswith(f"{HUB_URL}/"):
        return hub_endpoint() + url.removeprefix(HUB_URL), hub_token()
    if url.startswith(f"{LIBRARY_URL}/"):
        return ollama_registry() + url.removeprefix(LIBRARY_URL), None
    return url, None
