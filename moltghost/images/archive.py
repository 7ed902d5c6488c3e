"""Reads OCI image archives: what is in one, and its blobs."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from moltghost.images.oci import NAME_ANNOTATION


@dataclass(frozen=True)
class Archive:
    """An image in one file, as ``oci.write_archive`` writes it."""

    file: Path

    @property
    def reference(self) -> str:
        """Name and tag that it is imported under."""
        return str(self._descriptor()["annotations"][NAME_ANNOTATION])

    @property
    def digest(self) -> str:
        """Digest of the image's manifest: equal digests are equal images."""
        return str(self._descriptor()["digest"])

    @property
    def size_bytes(self) -> int:
        """Of the file."""
        return self.file.stat().st_size

    def manifest_bytes(self) -> bytes:
        """The manifest as it is, so that it keeps its digest."""
        with self.blob(self.digest) as stream:
            return stream.read()

    def manifest(self) -> dict[str, Any]:
        """The manifest, parsed."""
        return dict(json.loads(self.manifest_bytes()))

    def config(self) -> dict[str, Any]:
        """The image's config, parsed."""
        with self.blob(self.manifest()["config"]["digest"]) as stream:
            return dict(json.load(stream))

    @contextmanager
    def blob(self, digest: str) -> Iterator[IO[bytes]]:
        """Content of a blob."""
        with self._member(f"blobs/{digest.replace(':', '/')}") as stream:
            yield stream

    def files(self) -> Iterator[tarfile.TarInfo]:
        """Everything in the image's layers, from the bottom up."""
        for layer in self.manifest()["layers"]:
            with self.blob(layer["digest"]) as stream, tarfile.open(fileobj=stream) as tar:
                yield from tar

    def unpack(self, target: Path) -> None:
        """Unpack the archive itself: the OCI image layout."""
        with tarfile.open(self.file, "r:") as tar:
            tar.extractall(target, filter="data")

    def extract(self, target: Path) -> None:
        """Unpack the layers into a folder, owners included when root does it."""
        for layer in self.manifest()["layers"]:
            with self.blob(layer["digest"]) as stream, tarfile.open(fileobj=stream) as tar:
                tar.extractall(target, filter="tar", numeric_owner=True)

    @contextmanager
    def _member(self, name: str) -> Iterator[IO[bytes]]:
        with tarfile.open(self.file, "r:") as tar:
            for member in tar:
                if member.name == name:
                    stream = tar.extractfile(member)
                    assert stream is not None  # noqa: S101 blobs are regular files
                    yield stream
                    return
        raise KeyError(f"{self.file} has no {name}")

    def _descriptor(self) -> dict[str, Any]:
        with self._member("index.json") as stream:
            [descriptor] = json.load(stream)["manifests"]
        return dict(descriptor)
