"""The token of the Hugging Face hub: where it is found, and that it can't be printed.

The places are those of the hub's own client: `HF_TOKEN`, the file `HF_TOKEN_PATH`, and `token` in
`HF_HOME` (huggingface_hub src/huggingface_hub/constants.py).
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from moltghost.errors import Refused

_MOST_CHARACTERS = 4096


@dataclass(frozen=True, slots=True)
class HubToken:
    """A token, and where it came from, which is what messages say of it."""

    value: str = field(repr=False)
    origin: str

    def __post_init__(self) -> None:
        text = self.value
        if not (0 < len(text) <= _MOST_CHARACTERS and text.isascii() and text.isprintable()) or (
            " " in text
        ):
            raise Refused(
                f"{self.origin} doesn't hold a token of the Hugging Face hub",
                "a token is one word, such as hf_..., from https://huggingface.co/settings/tokens",
            )

    def __str__(self) -> str:
        return f"the token in {self.origin}"


def hub_token(environ: Mapping[str, str] | None = None) -> HubToken | None:
    """The user's token, where the hub's own client would find it; None where there is none.

    Raises:
        Refused: a file that should have it can't be read, or what is there isn't a token.
    """
    values = os.environ if environ is None else environ
    if token := values.get("HF_TOKEN", "").strip():
        return HubToken(token, "HF_TOKEN")
    if named := values.get("HF_TOKEN_PATH"):
        return _from_file(Path(named))
    caches = Path(values.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    file = Path(values.get("HF_HOME") or caches / "huggingface") / "token"
    return _from_file(file) if file.is_file() else None


def _from_file(path: Path) -> HubToken:
    try:
        with path.open("rb") as stream:
            content = stream.read(_MOST_CHARACTERS + 1)
    except OSError as error:
        raise Refused(
            f"the token of the Hugging Face hub can't be read: {path}: {error.strerror}",
            "name a file that has it in HF_TOKEN_PATH, or unset that",
        ) from error
    return HubToken(content.decode("ascii", "replace").strip(), str(path))
