"""What every test stands on: a state folder of its own, and no settings of the user."""

from __future__ import annotations

import atexit
import os
import shutil
import signal
import tempfile

import pytest

# No test touches a user's cluster or stacks. Set before anything of ours is imported, and only
# once, so that the cluster of the end-to-end tests may set a folder of its own.
_STATE = tempfile.mkdtemp(prefix="moltghost-tests-")
os.environ["MOLTGHOST_STATE"] = _STATE
atexit.register(shutil.rmtree, _STATE, ignore_errors=True)
# A shell starts what it runs in the background with Ctrl-C ignored, and children inherit that;
# tests that send Ctrl-C need it to arrive.
signal.signal(signal.SIGINT, signal.default_int_handler)
# An Output that is formatted as text by mistake is an error, not a sentence about outputs.
os.environ["PULUMI_ERROR_OUTPUT_STRING"] = "1"


@pytest.fixture(autouse=True)
def _no_settings_of_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    # A Pulumi CLI that happens to be here is used by the tests that are about it, and no other.
    monkeypatch.setattr("moltghost.engines.selection.find_cli", lambda: None)
    for name in (
        "MOLTGHOST_ENV",
        "MOLTGHOST_ENGINE",
        "MOLTGHOST_PROJECT",
        "NO_COLOR",
        "KUBECONFIG",
    ):
        monkeypatch.delenv(name, raising=False)
