"""The table of docs/models.md that says which files are pinned.

    python -m tests.models.tables

rewrites it; a test compares, so that it can't drift from the data.
"""

from __future__ import annotations

from pathlib import Path

from moltghost.models import Model, models
from moltghost.models.sources import Registry, Source, sources_of

DOCS = Path(__file__).parents[2] / "docs" / "models.md"
BEGIN, END = "<!-- begin sources (python -m tests.models.tables) -->", "<!-- end sources -->"


def state(sources: tuple[Source, ...]) -> str:
    """How well a file is known: in which column of the table it counts."""
    if any(s.pinned and s.registry is Registry.OLLAMA for s in sources):
        return "Ollama"
    if any(s.pinned for s in sources):
        return "hub"
    return "named" if sources else "nowhere"


def source_table() -> str:
    """A row for each model."""
    lines = [
        "| model | pinned in Ollama's library | pinned on the hub | named only | nowhere |",
        "|---|---|---|---|---|",
    ]
    lines += [row(model) for model in models()]
    return "\n".join(lines)


def row(model: Model) -> str:
    cells = {key: [] for key in ("Ollama", "hub", "named", "nowhere")}  # type: dict[str, list[str]]
    for quantization, file in model.files.items():
        key = "hub" if file.download else state(sources_of(model.id, quantization))
        cells[key].append(quantization)
    return f"| `{model.id}` | " + " | ".join(", ".join(each) for each in cells.values()) + " |"


def written(text: str) -> str:
    """A document with its table as it is now."""
    head, found, rest = text.partition(BEGIN)
    assert found, f"docs/models.md has no {BEGIN}"
    _, _, tail = rest.partition(END)
    return f"{head}{BEGIN}\n{source_table()}\n{END}{tail}"


if __name__ == "__main__":
    DOCS.write_text(written(DOCS.read_text()))
