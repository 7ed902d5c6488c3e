"""Where the Pulumi CLI is; asked by commands that need no Pulumi, so nothing of it is loaded."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

# Where Pulumi's own installer puts it: https://www.pulumi.com/docs/iac/download-install/
_INSTALLED = Path(".pulumi/bin/pulumi")
INSTALL_HINT = (
    "install the Pulumi CLI as https://www.pulumi.com/docs/iac/download-install/ says "
    "(brew install pulumi/tap/pulumi, or curl -fsSL https://get.pulumi.com | sh), "
    "or use --engine embedded"
)


def find_cli() -> Path | None:
    """The CLI: on ``PATH``, or where its installer puts it; ``None`` if there is none."""
    if found := shutil.which("pulumi"):
        return Path(found)
    installed = Path.home() / _INSTALLED
    return installed if os.access(installed, os.X_OK) else None
