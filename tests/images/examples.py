"""A small image for tests."""

from __future__ import annotations

from pathlib import Path

from moltghost.images import tree
from moltghost.images.archive import Archive
from moltghost.images.oci import ImageConfig, write_archive

REFERENCE = "moltghost.local/hello:1.2"
CONFIG = ImageConfig(
    user="1000:1000",
    entrypoint=("hello",),
    environment={"PATH": "/bin", "HOME": "/home/hello"},
    labels={"b": "2", "a": "1"},
)


def small_image(folder: Path, text: str = "hello\n", reference: str = REFERENCE) -> Archive:
    folder.mkdir(parents=True, exist_ok=True)
    source = folder / "hello"
    source.write_text(text)
    target = folder / "hello.tar"
    layers = [tree.base("hello", "/home/hello"), [tree.program("bin/hello", source)]]
    write_archive(target, reference, layers, CONFIG, "amd64")
    return Archive(target)
