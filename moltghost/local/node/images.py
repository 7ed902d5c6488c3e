"""Images on the node: imported from archives, as there is no registry to pull from."""

from __future__ import annotations

import hashlib
import io
import json
import subprocess
import tarfile
from pathlib import Path

from moltghost.errors import Failed, Refused
from moltghost.local.build import programs, recipes

_NAMESPACE = "k8s.io"  # of the kubelet's images, in containerd's words
# The kubelet never removes an image with this label to make room.
_PINNED = "io.cri-containerd.pinned=pinned"
_NAME_ANNOTATION = "io.containerd.image.name"
_NOBODY = 65535


class ImageStore:
    """The images of one node.

    Args:
        socket: containerd's.
    """

    def __init__(self, socket: Path) -> None:
        self._socket = socket

    def import_image(self, archive: Path) -> None:
        """Import an OCI archive under the names in it; replaces images of these names.

        Raises:
            Refused: there is no such file.
            Failed: containerd did not take it, with what it said.
        """
        if not archive.is_file():
            raise Refused(f"there is no image archive {archive}", "name a file that is there")
        # Layers that are unpacked aren't kept packed as well.
        options = ("--local", "--discard-unpacked-layers", "--label", _PINNED)
        self._run("import", *options, str(archive), what=f"importing {archive}")

    def has_image(self, reference: str) -> bool:
        """Whether the node has an image of that very name.

        Raises:
            Failed: containerd does not answer.
        """
        listed = self._run("list", "--quiet", f"name=={reference}", what="listing images")
        return reference in listed.split()

    def digest(self, reference: str) -> str:
        """Digest of the image of that very name; "" if the node has none.

        Raises:
            Failed: containerd does not answer.
        """
        listed = self._run("list", f"name=={reference}", what="listing images")
        rows = (line.split() for line in listed.splitlines()[1:])
        # REF TYPE DIGEST SIZE ...
        return next((row[2] for row in rows if row[0] == reference), "")

    def _run(self, *arguments: str, what: str) -> str:
        client = [str(programs.binary("ctr")), "--address", str(self._socket)]
        result = subprocess.run(
            [*client, "--namespace", _NAMESPACE, "images", *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if result.returncode:
            raise Failed(
                f"{what} failed: {result.stderr.strip()}",
                "look at `moltghost local status`; moltghost local up starts what isn't running",
            )
        return result.stdout


def pause_reference() -> str:
    """The image of the container that keeps a pod's namespaces."""
    return f"moltghost.local/pause:{programs.program('machine-pause').version}"


def write_pause_image(target: Path) -> None:
    """Write that image."""
    write_program_image(target, pause_reference(), programs.binary("machine-pause"), "pause")


def write_program_image(target: Path, reference: str, program: Path, name: str) -> None:
    """Write an image with one static program as an OCI archive.

    Args:
        target: the archive.
        reference: what it is imported as.
        program: the binary.
        name: its name in the image, where it is all there is.
    """
    layer = _tar({name: program.read_bytes()}, mode=0o755)
    blobs: dict[str, bytes] = {}

    def blob(content: bytes, kind: str) -> dict[str, object]:
        digest = hashlib.sha256(content).hexdigest()
        blobs[f"blobs/sha256/{digest}"] = content
        return {"mediaType": kind, "digest": f"sha256:{digest}", "size": len(content)}

    oci = "application/vnd.oci.image"
    config = {
        "architecture": recipes.go_architecture(),
        "os": "linux",
        "config": {"Entrypoint": [f"/{name}"], "User": f"{_NOBODY}:{_NOBODY}"},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"]},
    }
    manifest = {
        "schemaVersion": 2,
        "mediaType": f"{oci}.manifest.v1+json",
        "config": blob(json.dumps(config).encode(), f"{oci}.config.v1+json"),
        "layers": [blob(layer, f"{oci}.layer.v1.tar")],
    }
    described = blob(json.dumps(manifest).encode(), f"{oci}.manifest.v1+json")
    index = {
        "schemaVersion": 2,
        "manifests": [described | {"annotations": {_NAME_ANNOTATION: reference}}],
    }
    layout = {"imageLayoutVersion": "1.0.0"}
    files = {"oci-layout": json.dumps(layout).encode(), "index.json": json.dumps(index).encode()}
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(_tar({**files, **blobs}, mode=0o644))


def _tar(files: dict[str, bytes], *, mode: int) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            member.mode = mode
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()
