"""What a package's script gets to see of the user who builds an image."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from moltghost.images.node import Node

# In the place of Node.js: writes down its environment.
PROGRAM = f"""#!{sys.executable} -IS
import json, os
open("environment.json", "w").write(json.dumps(dict(os.environ)))
"""


@pytest.fixture
def runtime(tmp_path: Path) -> Node:
    node = Node(tmp_path / "node", home=tmp_path / "work")
    node.binary.parent.mkdir(parents=True)
    node.binary.write_text(PROGRAM)
    node.binary.chmod(0o755)
    return node


def seen(node: Node, tmp_path: Path) -> dict[str, str]:
    node.run("script.mjs", cwd=tmp_path, what="a script")
    found: dict[str, str] = json.loads((tmp_path / "environment.json").read_text())
    return found


def test_a_script_sees_no_secret_of_the_user(
    runtime: Node, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_SECRET_ACCESS_KEY", "PULUMI_CONFIG_PASSPHRASE", "NODE_OPTIONS", "NPM_TOKEN"):
        monkeypatch.setenv(name, "secret")
    found = seen(runtime, tmp_path)
    assert "secret" not in found.values()
    assert found["HOME"] == str(tmp_path / "work")
    assert found["PATH"].split(os.pathsep)[0] == str(runtime.binary.parent)


def test_it_reaches_the_registry_as_the_user_does(
    runtime: Node, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = {
        "NPM_CONFIG_REGISTRY": "https://npm.example",
        "https_proxy": "http://proxy.example",
        "NO_PROXY": "localhost",
        "NODE_EXTRA_CA_CERTS": "/ca.pem",
    }
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("HOME", "/home/user")
    found = seen(runtime, tmp_path)
    assert given.items() <= found.items()
    assert found["npm_config_userconfig"] == "/home/user/.npmrc"
