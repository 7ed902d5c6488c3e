"""What `pulumi up` runs for every stack."""

from pathlib import Path

import pulumi

from infra.program import declare
from moltghost.config import PROJECT

declare(Path(__file__).parent, pulumi.get_stack(), pulumi.Config(PROJECT).require_object("spec"))
