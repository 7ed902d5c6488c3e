"""Serve the pack to an engine: what ``pulumi --policy-pack`` starts.

The constructor of ``PolicyPack`` opens a server and never returns, so nothing else may call it.
"""

import importlib
import sys
from pathlib import Path

from pulumi_policy import PolicyPack

_FOLDER = Path(__file__).resolve().parent
# The pack is a package, whatever its folder is called; at the end, so that it hides nothing.
sys.path.append(str(_FOLDER.parent))
_pack = importlib.import_module(f"{_FOLDER.name}.pack")

PolicyPack(name=_pack.NAME, policies=_pack.policies(), description=_pack.DESCRIPTION)
