"""How long the policy pack takes, per resource: ``python -m benchmarks.policies``.

The resources are those of the repository's own stacks; nothing is asked of a cluster or a cloud.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
STACKS = ("platform.local", "my-agent.local")
REPEATS = 10


def seconds(work: Callable[[], object]) -> list[float]:
    """Wall seconds of each repetition."""
    taken = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        work()
        taken.append(time.perf_counter() - began)
    return taken


def main() -> None:
    from moltghost.engines.embedded.declared_resources import declared_resources
    from moltghost.policy.config import PackConfig
    from moltghost.policy.pack import FOLDER, Pack

    began = time.perf_counter()
    pack = Pack(ROOT / FOLDER)
    print(f"load the pack: {(time.perf_counter() - began) * 1000:.0f} ms, {len(pack.rules)} rules")
    for stack in STACKS:
        resources = declared_resources(ROOT / "examples", stack)
        taken = seconds(lambda s=stack, r=resources: pack.check(s, r, PackConfig()))
        each = [value / len(resources) * 1000 for value in taken]
        print(
            f"{stack}: {len(resources)} resources, "
            f"median {statistics.median(taken) * 1000:.0f} ms, "
            f"{statistics.median(each):.1f} ms per resource "
            f"(min {min(each):.1f}, max {max(each):.1f}, n={REPEATS})"
        )


if __name__ == "__main__":
    main()
