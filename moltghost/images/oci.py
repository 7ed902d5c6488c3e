"""Writes OCI image archives: the same bytes for the same content.

Layers are plain tar files with sorted names, no times, numeric owners and normalised modes. They
aren't compressed: a compressor's output depends on its version, and the node reads the archive
from its own disk. Format: OCI image-spec 1.1, image-layout; the annotation with the whole
reference is containerd's (``ctr images import``).
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import tarfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import IO, Any

from moltghost.files import move_into_place
from moltghost.images.tree import Entry, with_parents

MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
INDEX_TYPE = "application/vnd.oci.image.index.v1+json"
_CONFIG_TYPE = "application/vnd.oci.image.config.v1+json"
_LAYER_TYPE = "application/vnd.oci.image.layer.v1.tar"
NAME_ANNOTATION = "io.containerd.image.name"
_TAG_ANNOTATION = "org.opencontainers.image.ref.name"
_EPOCH = "1970-01-01T00:00:00Z"


@dataclass(frozen=True, kw_only=True)
class ImageConfig:
    """What a container of the image runs, and as whom.

    Args:
        user: numeric, so that Kubernetes can tell that it isn't root.
        entrypoint, command: as in a Dockerfile.
        environment: variables.
        working_dir: where the command starts.
        labels: of the image.
    """

    user: str
    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)
    working_dir: str = "/"
    labels: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class _Blob:
    """Content by its digest; ``file`` is where it is until the archive is whole."""

    digest: str
    size: int
    file: Path

    def descriptor(self, media_type: str) -> dict[str, Any]:
        return {"mediaType": media_type, "digest": self.digest, "size": self.size}


def write_archive(
    target: Path,
    reference: str,
    layers: Sequence[Iterable[Entry]],
    config: ImageConfig,
    architecture: str,
) -> str:
    """Write an image into one file, which is there whole or not at all.

    Args:
        target: the archive; its folder must be there.
        reference: name and tag that the image is imported under.
        layers: the file system, from the bottom up.
        config: what it runs.
        architecture: in Go's words, such as ``amd64``.

    Returns:
        The digest of the image's manifest.
    """
    work = target.with_name(f".{target.name}.{os.getpid()}.layers")
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    try:
        blobs = [_layer(work / f"layer-{n}", entries) for n, entries in enumerate(layers)]
        image = _json(work / "config", _image(config, blobs, architecture))
        manifest = _json(
            work / "manifest",
            {
                "schemaVersion": 2,
                "mediaType": MANIFEST_TYPE,
                "config": image.descriptor(_CONFIG_TYPE),
                "layers": [blob.descriptor(_LAYER_TYPE) for blob in blobs],
            },
        )
        partial = work / "archive"
        with partial.open("wb") as stream:
            _write_layout(stream, reference, manifest, [manifest, image, *blobs])
        move_into_place(partial, target, durable=True)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return manifest.digest


def _image(config: ImageConfig, layers: Sequence[_Blob], architecture: str) -> dict[str, Any]:
    return {
        "created": _EPOCH,
        "architecture": architecture,
        "os": "linux",
        "config": {
            "User": config.user,
            "Env": [f"{name}={value}" for name, value in sorted(config.environment.items())],
            **({"Entrypoint": list(config.entrypoint)} if config.entrypoint else {}),
            **({"Cmd": list(config.command)} if config.command else {}),
            "WorkingDir": config.working_dir,
            "Labels": dict(sorted(config.labels.items())),
        },
        "rootfs": {"type": "layers", "diff_ids": [blob.digest for blob in layers]},
        "history": [{"created": _EPOCH, "created_by": "moltghost"} for _ in layers],
    }


def _write_layout(
    stream: IO[bytes], reference: str, manifest: _Blob, blobs: Sequence[_Blob]
) -> None:
    index = {
        "schemaVersion": 2,
        "mediaType": INDEX_TYPE,
        "manifests": [
            {
                **manifest.descriptor(MANIFEST_TYPE),
                "annotations": {
                    NAME_ANNOTATION: reference,
                    _TAG_ANNOTATION: reference.rpartition(":")[2],
                },
            }
        ],
    }
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as archive:
        # The index first, so that a reader has it at once.
        for name, value in (("oci-layout", {"imageLayoutVersion": "1.0.0"}), ("index.json", index)):
            content = _dumps(value)
            archive.addfile(_member(name, 0o644, len(content)), io.BytesIO(content))
        for blob in {blob.digest: blob for blob in blobs}.values():
            name = f"blobs/{blob.digest.replace(':', '/')}"
            with blob.file.open("rb") as content_stream:
                archive.addfile(_member(name, 0o644, blob.size), content_stream)


def _layer(target: Path, entries: Iterable[Entry]) -> _Blob:
    with (
        target.open("wb") as stream,
        tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as archive,
    ):
        for entry in with_parents(entries):
            _add(archive, entry)
    return _blob(target)


def _add(archive: tarfile.TarFile, entry: Entry) -> None:
    if entry.folder:
        member = _member(entry.path, entry.mode, 0, entry.owner)
        member.type = tarfile.DIRTYPE
        archive.addfile(member)
    elif entry.link:
        member = _member(entry.path, 0o777, 0, entry.owner)
        member.type, member.linkname = tarfile.SYMTYPE, entry.link
        archive.addfile(member)
    elif entry.source:
        with entry.source.open("rb") as content:
            size = os.fstat(content.fileno()).st_size
            archive.addfile(_member(entry.path, entry.mode, size, entry.owner), content)
    else:
        member = _member(entry.path, entry.mode, len(entry.content), entry.owner)
        archive.addfile(member, io.BytesIO(entry.content))


def _member(path: str, mode: int, size: int, owner: int = 0) -> tarfile.TarInfo:
    member = tarfile.TarInfo(str(PurePosixPath(path)))
    member.mode, member.size, member.uid, member.gid, member.mtime = mode, size, owner, owner, 0
    return member


def _json(target: Path, value: Any) -> _Blob:
    target.write_bytes(_dumps(value))
    return _blob(target)


def _dumps(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":"), sort_keys=True).encode()


def _blob(file: Path) -> _Blob:
    with file.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    return _Blob(f"sha256:{digest}", file.stat().st_size, file)
