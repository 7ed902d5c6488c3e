"""Where a file can be had by a digest that is already known. Nothing here asks a registry."""

from __future__ import annotations

from moltghost.models.facts import Download, Model
from moltghost.models.sources import HUB_URL, LIBRARY_URL, Registry, Source, sources_of


def download_of(source: Source) -> Download | None:
    """Return where the one file of a source can be had; None where nothing immutable is named.

    That is so for a source of several files, one whose digest nobody read, one whose exact tag is
    not known, and a repository of the hub without its commit.
    """
    if len(source.files) != 1 or not source.pinned or " " in source.name:
        return None
    name, file = source.name, source.files[0]
    if source.registry is Registry.HUGGING_FACE and source.revision:
        url = f"{HUB_URL}/{name}/resolve/{source.revision}/{file.name}"
    elif source.registry is Registry.OLLAMA:
        path = name.partition(":")[0]
        repository = path if "/" in path else f"library/{path}"
        url = f"{LIBRARY_URL}/v2/{repository}/blobs/sha256:{file.sha256}"
    else:
        return None
    return Download(sha256=file.sha256 or "", url=url)


def pinned_download(model: Model, quantization: str) -> Download | None:
    """Return where a quantization of a model can be had; None where a person has to give the file.

    The model's own reference comes first, then Ollama's library, then the hub. A model of the
    catalogue that understands images is left out: its vision tower may be a second file, and a
    store is built from one.
    """
    file = model.files.get(quantization)
    if file is None or file.download or file.source or model.vision:
        return file.download if file else None
    found = (download_of(source) for source in sources_of(model.id, quantization))
    return next((each for each in found if each), None)
