"""Where an address of a registry is asked: there, or at the mirror that the user has set.

Plans and records name the registry itself, so that they are the same on every machine.
"""

from __future__ import annotations

import os

from moltghost.registries.tokens import HubToken, hub_token

HUB, OLLAMA = "https://huggingface.co", "https://registry.ollama.ai"
HUB_VARIABLE, OLLAMA_VARIABLE = "HF_ENDPOINT", "MOLTGHOST_OLLAMA_REGISTRY"


def hub_endpoint() -> str:
    """The address of the Hugging Face hub: `HF_ENDPOINT`, else its own."""
    return (os.environ.get(HUB_VARIABLE) or HUB).rstrip("/")


def ollama_registry() -> str:
    """The address of Ollama's registry: `MOLTGHOST_OLLAMA_REGISTRY`, else its own."""
    return (os.environ.get(OLLAMA_VARIABLE) or OLLAMA).rstrip("/")


def mirrored(url: str) -> tuple[str, HubToken | None]:
    """The address to ask for a file, and the token to show there.

    Raises:
        Refused: the user's token can't be read.
    """
    if url.startswith(f"{HUB}/"):
        return hub_endpoint() + url.removeprefix(HUB), hub_token()
    if url.startswith(f"{OLLAMA}/"):
        return ollama_registry() + url.removeprefix(OLLAMA), None
    return url, None
