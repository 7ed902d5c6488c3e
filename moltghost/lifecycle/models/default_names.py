"""What a model is called where nobody said a name: after its file, or its tag."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

from moltghost.models.references import Reference
from moltghost.models.sources import Registry

_PART = re.compile(r"-\d{5}-of-\d{5}$")
_OTHER = re.compile(r"[^a-z0-9._-]+")
_LONGEST = 80


def default_name(reference: Reference, file: str) -> str:
    """`Qwen_Qwen3-8B-Q4_K_M.gguf` is `qwen_qwen3-8b-q4_k_m`, `someone/x:latest` is `someone-x`."""
    if reference.registry is Registry.OLLAMA:
        text = reference.name.removesuffix(":latest")
    else:
        text = _PART.sub("", PurePosixPath(file).name[: -len(".gguf")])
    return _OTHER.sub("-", text.lower())[:_LONGEST].strip("-._")
