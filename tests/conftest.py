"""What every test stands on: a state folder of its own, and no settings of the user."""

from __future__ import annotations

import atexit
import functools
import os
import shutil
import signal
import tempfile
from pathlib import Path

import pytest
from botocore.loaders import JSONFileLoader
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling

from tests.e2e.groups import group_of

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
# No call leaves for AWS, of this process or of one that it starts: no credentials of the user's,
# and an endpoint that nobody listens on. `tests/aws` closes the wire itself as well.
_NOWHERE = "http://127.0.0.1:9"
os.environ.update(
    AWS_ACCESS_KEY_ID="testing",
    AWS_SECRET_ACCESS_KEY="testing",
    AWS_SESSION_TOKEN="testing",
    AWS_CONFIG_FILE="/nonexistent/config",
    AWS_SHARED_CREDENTIALS_FILE="/nonexistent/credentials",
    AWS_EC2_METADATA_DISABLED="true",
    AWS_ENDPOINT_URL=_NOWHERE,
    AWS_MAX_ATTEMPTS="1",
)
for _name in ("AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_ROLE_ARN"):
    os.environ.pop(_name, None)
# botocore parses its descriptions of services once more for each session, which takes most of the
# time of a test with a client.
for _method in (JSONFileLoader.load_file, JSONFileLoader.exists):
    _once = functools.cache(functools.partial(_method, JSONFileLoader()))
    setattr(JSONFileLoader, _method.__name__, lambda _self, path, once=_once: once(path))


class ByGroups(LoadFileScheduling):
    """Gives a worker the files of a group, which share a cluster."""

    def _split_scope(self, nodeid: str) -> str:
        return group_of(Path(nodeid.partition("::")[0]))


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> ByGroups | None:
    return ByGroups(config, log) if config.getvalue("dist") == "loadfile" else None


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
