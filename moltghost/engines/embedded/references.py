"""Reads the outputs of another project's stack, and nothing else of it.

The other project's key isn't opened: who may read its state file needs no more to find its
cluster. An output that is secret there stays closed.
"""

from __future__ import annotations

import json
from typing import Any

from moltghost import paths
from moltghost.engines.pulumi.urn import ROOT_TYPE
from moltghost.engines.pulumi.values import from_state
from moltghost.errors import Refused


def foreign_outputs(project: str, stack: str) -> dict[str, Any]:
    """The outputs of a stack of another project on this machine.

    Raises:
        Refused: there is no such stack, it can't be read, or an output of it is secret.
    """
    title = f"stack {stack} of project {project}"
    file = paths.stacks_home(project) / f"{stack}.json"

    def closed(_ciphertext: str) -> str:
        raise Refused(
            f"{title} has a secret output, which only that project's key opens",
            "export what other projects need as plain values",
        )

    try:
        resources = json.loads(file.read_text(encoding="utf-8"))["deployment"]["resources"]
        [root] = [each for each in resources if each["type"] == ROOT_TYPE]
        outputs: dict[str, Any] = from_state(root.get("outputs", {}), closed)
    except FileNotFoundError:
        raise Refused(
            f"{title} isn't there, and this stack reads its outputs",
            f"in the folder of project {project}: moltghost up {stack.rpartition('.')[2]}",
        ) from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Refused(
            f"{title} can't be read: {file} ({error})",
            f"bring it up again in the folder of project {project}, or ask who owns it",
        ) from error
    return outputs
