"""Write docs/policies/AREA.md and the list in its README from the rules of the pack."""

from __future__ import annotations

import sys
from pathlib import Path

from moltghost.policy.pack import FOLDER, Pack
from moltghost.policy.pages import area_pages

ROOT = Path(__file__).resolve().parents[1]


def pages() -> dict[Path, str]:
    """Every generated page by its path."""
    pack = Pack(ROOT / FOLDER)
    folder = ROOT / "docs" / "policies"
    return {
        folder / f"{area}.md": text for area, text in area_pages(pack.rules, pack.areas).items()
    }


if __name__ == "__main__":
    for path, text in pages().items():
        path.write_text(text, encoding="utf-8")
        sys.stdout.write(f"{path.relative_to(ROOT)}\n")
