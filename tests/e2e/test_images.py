"""The real images: built, or taken from the cache, and looked into. They run by hand here, without
a cluster: as their own user, on a read-only root, without a network."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from moltghost.components.gate import caddyfile
from moltghost.images import store
from moltghost.images.archive import Archive
from moltghost.images.oci import write_archive
from moltghost.images.recipe import Recipe
from moltghost.local.build.recipes import go_architecture
from moltghost.progress import silent
from tests.examples import agent_plan

pytestmark = pytest.mark.e2e
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="changing the root folder needs root")

_UNSHARE = shutil.which("unshare") or "unshare"
# Enters an unpacked image as uid 1000 with no way to become another.
_ENTER = """
import ctypes, json, os, sys
root, work, environment, *command = sys.argv[1:]
environment = json.loads(environment)
os.chroot(root); os.chdir(work); os.setgroups([]); os.setgid(1000); os.setuid(1000)
ctypes.CDLL(None).prctl(38, 1, 0, 0, 0)
os.execvpe(command[0], command, environment)
"""
# Namespaces of its own: no network but its own loopback, and mounts that go with it.
_MOUNTS = """
set -e
ip link set lo up
mount --bind "$1" "$1" && mount -o remount,bind,ro "$1"
mount -t tmpfs -o mode=1777 tmpfs "$1/tmp"
shift; exec "$@"
"""


@dataclass(frozen=True)
class Image:
    """A built image, and where it is unpacked."""

    recipe: Recipe
    archive: Archive
    root: Path

    def run(
        self, *command: str, work: str = "/", **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """Run a command in it as a pod would."""
        config = dict(each.split("=", 1) for each in self.archive.config()["config"]["Env"])
        inside = json.dumps({**config, "HOME": "/tmp", **environment})
        enter = [sys.executable, "-c", _ENTER, str(self.root), work, inside, *command]
        return subprocess.run(
            [_UNSHARE, "--net", "--mount", "sh", "-c", _MOUNTS, "sh", str(self.root), *enter],
            capture_output=True,
            text=True,
            timeout=120,
        )


Unpack = Callable[[str], Image]


@pytest.fixture(scope="module")
def unpack(tmp_path_factory: pytest.TempPathFactory) -> Unpack:
    """Builds an image, or takes it from the cache, and unpacks it; each once."""

    @cache
    def unpacked(name: str) -> Image:
        [archive] = store.ensure_built(names=[name])
        root = tmp_path_factory.mktemp(name) / "root"
        archive.extract(root)
        return Image(store.recipe(name), archive, root)

    return unpacked


@pytest.fixture(scope="module", params=store.NAMES)
def image(request: pytest.FixtureRequest, unpack: Unpack) -> Image:
    return unpack(request.param)


def test_an_archive_is_under_its_reference_and_runs_as_nobody_special(image: Image) -> None:
    assert image.archive.reference == image.recipe.reference
    assert image.archive.config()["config"]["User"] == "1000:1000"
    members = {member.name: member for member in image.archive.files()}
    assert len(members) > 5
    assert not [name for name, each in members.items() if each.mode & 0o6000]
    assert not [name for name, each in members.items() if each.isdev() or each.mtime]
    writable = [name for name, each in members.items() if each.uid == 1000]
    assert writable
    assert all(members[name].isdir() for name in writable)
    program = (*image.recipe.config().entrypoint, "node")[0]
    assert members[f"usr/local/bin/{program}"].mode == 0o755
    assert ":x:1000:1000:" in (image.root / "etc" / "passwd").read_text()


# Command, exit code, and what it says. The tools have no version but their image's.
SAYS = {
    "ollama": (["ollama", "--version"], 0, "0.17.4"),
    "gate": (["caddy", "version"], 0, "2.11.9"),
    "openclaw": (["node", "dist/index.js", "--version"], 0, "2026.9.6"),
    "tools": (["agent-tools"], 2, "usage: agent-tools weights"),
}


@needs_root
def test_the_program_runs_and_says_which_it_is(image: Image) -> None:
    command, code, says = SAYS[image.recipe.name]
    ran = image.run(*command, work=image.archive.config()["config"]["WorkingDir"])
    assert ran.returncode == code, ran.stderr
    assert says in ran.stdout + ran.stderr


@needs_root
def test_openclaw_accepts_the_config_that_agents_get(unpack: Unpack) -> None:
    openclaw = unpack("openclaw")
    config = openclaw.root / "home" / "node" / "openclaw.json"
    rendered = agent_plan().runtime.config
    for content, code in ((rendered, 0), ({**rendered, "moltghost": 1}, 1)):
        config.write_text(json.dumps(content))
        ran = openclaw.run(
            *("node", "dist/index.js", "config", "validate", "--json"),
            work="/app",
            OPENCLAW_CONFIG_PATH="/home/node/openclaw.json",
            OPENCLAW_STATE_DIR="/tmp/state",
            OPENCLAW_CONFIG_READONLY="1",
            MODEL_SERVER_TOKEN="token",
        )
        assert ran.returncode == code, ran.stdout + ran.stderr
        assert json.loads(ran.stdout)["valid"] is (code == 0)


@needs_root
def test_caddy_accepts_the_gates_config(unpack: Unpack) -> None:
    gate = unpack("gate")
    (gate.root / "Caddyfile").write_text(caddyfile(agent_plan().model_server))
    check = ("caddy", "validate", "--config", "/Caddyfile", "--adapter", "caddyfile")
    ran = gate.run(*check)
    assert ran.returncode == 0, ran.stderr
    assert "Valid configuration" in ran.stdout + ran.stderr


# OpenClaw's takes a minute; the other three prove the writer.
AGAIN = [
    pytest.param(name, marks=[pytest.mark.long] if name == "openclaw" else [])
    for name in store.NAMES
]


@pytest.mark.parametrize("name", AGAIN)
def test_building_again_gives_the_same_digest(unpack: Unpack, name: str, tmp_path: Path) -> None:
    """From the programs in the cache; npm's packages are downloaded and installed once more."""
    image = unpack(name)
    recipe, again = image.recipe, tmp_path / "again.tar"
    layers = recipe.layers(tmp_path, silent)
    write_archive(again, recipe.reference, layers, recipe.config(), go_architecture())
    assert Archive(again).digest == image.archive.digest
    shutil.rmtree(tmp_path)
