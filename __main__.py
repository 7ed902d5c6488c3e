"""What `pulumi up` runs for every stack."""

from pathlib import Path

import pulumi

from infra.program import declare
from moltghost.config import PROJECT
from moltghost.errors import MoltghostError
from moltghost.ownership import running_engine

engine = running_engine()
try:
    declare(
        Path(__file__).parent,
        pulumi.get_stack(),
        pulumi.Config(PROJECT).require_object("spec"),
        engine,
    )
except MoltghostError as error:
    if engine == "embedded":
        raise
    # The CLI shows this one without its traceback.
    raise pulumi.RunError(str(error)) from error
