"""How the preview of an AWS environment grows with its pools, in the embedded engine.

Run: python -m benchmarks.previews. Environment `prod` with its first 1 to 6 pools, both layers,
with the policy pack, nothing applied: no account and no cluster is asked. Seconds of processor time
in one process, the best of several runs; a preview waits for nobody, so that an idle machine takes
no longer by the clock. The first preview of a process also loads AWS's SDK.
"""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.engine import copied
from benchmarks.timing import machine, seconds, table

if TYPE_CHECKING:
    from moltghost.engines.embedded.engine import EmbeddedEngine

POOLS = ("l40s", "cpu", "weights", "a100-40", "a100-80", "h100")
REPEATS = 2


def measured(engine: EmbeddedEngine, stack: str) -> tuple[str, str]:
    """How many resources a stack's preview has, and how long it takes."""
    from moltghost.progress import silent

    counts: list[int] = []

    def preview() -> None:
        counts.append(sum(engine.preview(stack, report=silent).counts().values()))

    took = seconds(preview, REPEATS, time.process_time)
    return str(counts[0]), f"{took:.2f} s"


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory(prefix="moltghost-benchmark-") as folder:
        os.environ["MOLTGHOST_STATE"] = folder
        from moltghost.engines.embedded.engine import EmbeddedEngine
        from moltghost.policy.gate import require_compliance
        from moltghost.progress import silent

        project = copied(Path(folder))
        engine = EmbeddedEngine(project, analyze=require_compliance)
        first = seconds(lambda: engine.preview("prod", report=silent), 1, time.process_time)
        rows = []
        for count in range(1, len(POOLS) + 1):
            _write(project, POOLS[:count])
            layers = (*measured(engine, "prod"), *measured(engine, "platform.prod"))
            rows.append((f"{count}: {', '.join(POOLS[:count])}", *layers))
    columns = ("pools", "in cloud", "cloud", "in platform", "platform")
    print(f"{machine()}\n\nfirst preview of the process: {first:.2f} s\n\n{table(rows, columns)}")


def _write(project: Path, pools: tuple[str, ...]) -> None:
    lines = "".join(f"      {name}: {{ max_nodes: 2 }}\n" for name in pools)
    text = f"config:\n  moltghost:spec:\n    kind: platform\n    pools:\n{lines}"
    (project / "Pulumi.platform.prod.yaml").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
