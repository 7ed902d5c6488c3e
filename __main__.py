"""What `pulumi up` runs for every stack."""

from pathlib import Path

from moltghost.infra.program import run

run(Path(__file__).parent)
