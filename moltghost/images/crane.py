"""Registries, by crane (go-containerregistry): what a tag points at, copying and pushing.

crane is built by its recipe when it is first needed. Digests are computed here from the manifest
that a registry sends, so what a header says of it doesn't count.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile

from moltghost.errors import Failed
from moltghost.images.archive import Archive
from moltghost.local.build import builder, programs
from moltghost.progress import Meter, Report, silent

PROGRAM = "crane"

_ERROR = re.compile(r"^Error: (.*)", re.MULTILINE | re.DOTALL)
_TRANSFERRED = re.compile(r"(?:existing|mounted|pushed) blob: (sha256:[0-9a-f]{64})")


class RegistryError(Failed):
    """A registry doesn't answer, or says no."""

    next_step = "run the same command again: what is there already isn't sent again"


class Unreachable(RegistryError):
    """A registry doesn't answer."""

    next_step = "is the machine on a network that reaches it, and its proxy set?"


class NotLoggedIn(RegistryError):
    """A registry doesn't let us in; public ones say so of repositories that aren't there, too."""

    next_step = (
        "check that the name is right, and log in as one who may do this: docker login HOST, or "
        "to AWS where the registry is ECR"
    )


class RateLimited(RegistryError):
    """A registry wants us to wait."""

    next_step = (
        "log in (docker login), which raises the limit, or wait, then run the same command again: "
        "what is there already isn't sent again"
    )


class NoSuchImage(RegistryError):
    """A registry has no such tag or digest."""

    next_step = "check the version in moltghost/planning/images.json"


class NoSuchRepository(RegistryError):
    """A registry has no such repository."""

    next_step = "`moltghost up` of the environment makes its repositories"


class DigestMismatch(RegistryError):
    """A registry has, or sends, another content than the digest names."""

    next_step = (
        "trust neither image until you know why: compare them with what the image's publisher says"
    )


# Codes of the distribution-spec (1.1, "Error Codes") and the words of go-containerregistry where a
# registry sends no code. The first that matches counts.
_KINDS: tuple[tuple[str, type[RegistryError]], ...] = (
    (r"TOOMANYREQUESTS|status code 429", RateLimited),
    (r"does not match requested digest|DIGEST_INVALID|error verifying", DigestMismatch),
    (r"NAME_UNKNOWN", NoSuchRepository),
    (r"MANIFEST_UNKNOWN|status code 404", NoSuchImage),
    (r"UNAUTHORIZED|DENIED|status code 40[13]", NotLoggedIn),
    (r"dial tcp|no such host|i/o timeout|TLS handshake|x509:|EOF|connection reset", Unreachable),
)


def ensure_built(report: Report = silent) -> None:
    """Build crane if it isn't in the cache.

    Raises:
        Refused, Failed: as ``builder.ensure_built``.
    """
    builder.ensure_built(report, [PROGRAM])


def error(what: str, output: str) -> RegistryError:
    """The error for a run of crane that failed.

    Args:
        what: was tried, such as ``copying A to B``.
        output: all that crane wrote to standard error.
    """
    found = _ERROR.search(output)
    reason = " ".join((found[1] if found else output).split())
    kinds = (kind for pattern, kind in _KINDS if re.search(pattern, reason))
    kind = next(kinds, RegistryError)
    return kind(f"{what} failed: {reason}", kind.next_step)


class Crane:
    """crane, with the logins of one Docker config.

    Args:
        config: the folder of that config (``logins.docker_config``).
    """

    def __init__(self, config: Path) -> None:
        self._config = config

    def digest(self, reference: str) -> str | None:
        """Digest of an image or index; None if there is no such tag or repository.

        Raises:
            RegistryError: the registry doesn't answer, or refuses to say.
        """
        try:
            return _digest_of(self.manifest(reference))
        except (NoSuchImage, NoSuchRepository):
            return None

    def manifest(self, reference: str) -> bytes:
        """A manifest, as the registry has it.

        Raises:
            RegistryError: there is none, or the registry doesn't answer, or refuses.
        """
        return self._run("manifest", reference, what=f"asking for {reference}")

    def copy(self, source: str, target: str, report: Report = silent) -> None:
        """Copy an image, with all its platforms; its manifest goes last.

        Args:
            source: by digest.
            target: by tag.
            report: is told the bytes.

        Raises:
            RegistryError: a registry doesn't answer, refuses, or has something else.
        """
        arguments = ("copy", source, target)
        self._transfer(arguments, self._sizes(source), f"copy {target}", report)
        self._verify(target, source.rpartition("@")[2])

    def push(self, archive: Archive, target: str, report: Report = silent) -> None:
        """Push an archive's image under a tag; its manifest goes last.

        Raises:
            RegistryError: the registry doesn't answer, refuses, or took something else in.
        """
        manifest = archive.manifest()
        blobs = (manifest["config"], *manifest["layers"])
        sizes = {str(blob["digest"]): int(blob["size"]) for blob in blobs}
        with TemporaryDirectory() as layout:  # crane takes no OCI archive, only what is in one
            archive.unpack(Path(layout))
            self._transfer(("push", layout, target), sizes, f"push {target}", report)
        self._verify(target, archive.digest)

    def _verify(self, reference: str, digest: str) -> None:
        found = self.digest(reference)
        if found != digest:
            raise DigestMismatch(
                f"{reference} reads back as {found or 'nothing'}, not as {digest}",
                DigestMismatch.next_step,
            )

    def _sizes(self, reference: str) -> dict[str, int]:
        """Size of each blob of an image, or of all images of an index."""
        document = json.loads(self.manifest(reference))
        repository = reference.partition("@")[0]
        sizes: dict[str, int] = {}
        for each in document.get("manifests", ()):
            sizes |= self._sizes(f"{repository}@{each['digest']}")
        blobs = [document[key] for key in ("config",) if key in document]
        for blob in (*blobs, *document.get("layers", ())):
            sizes[blob["digest"]] = blob["size"]
        return sizes

    def _transfer(
        self, arguments: tuple[str, ...], sizes: Mapping[str, int], task: str, report: Report
    ) -> None:
        meter = Meter(report, task, sum(sizes.values()))

        def count(line: str) -> None:
            if blob := _TRANSFERRED.search(line):
                meter.add(sizes.get(blob[1], 0))

        try:
            self._run(*arguments, what=f"{task} from {arguments[1]}", on_line=count)
        except RegistryError as failure:
            meter.end("failed", type(failure).__name__)
            raise
        meter.end()

    def _run(
        self, *arguments: str, what: str, on_line: Callable[[str], None] | None = None
    ) -> bytes:
        command = [str(programs.binary(PROGRAM)), *arguments]
        environment = {**os.environ, "DOCKER_CONFIG": str(self._config)}
        lines: list[str] = []
        with (
            TemporaryFile() as output,
            subprocess.Popen(
                command,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.PIPE,
                text=True,
            ) as process,
        ):
            try:
                for line in process.stderr or ():
                    lines.append(line)
                    if on_line:
                        on_line(line)
            except BaseException:
                process.terminate()
                raise
            if process.wait():
                raise error(what, "".join(lines))
            output.seek(0)
            return output.read()


def _digest_of(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"
