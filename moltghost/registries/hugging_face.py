"""The Hugging Face hub, or a mirror of it: repositories of files at commits.

One question gives a revision's commit and the files with their sha256 (Git LFS's); a second one,
for the first file's headers, says whether this user may have it. Source: huggingface_hub@ee0a451
src/huggingface_hub/file_download.py l.1618-1637 (headers), utils/_http.py (errors).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from moltghost.errors import Refused
from moltghost.models.sources import Registry
from moltghost.registries import documents
from moltghost.registries.errors import (
    Gated,
    NotFound,
    RegistryError,
    Unauthorized,
    Unexpected,
)
from moltghost.registries.gguf_files import of_quantization, projectors_of, quantization_of
from moltghost.registries.mirrors import hub_endpoint
from moltghost.registries.resolved import FileRole, RemoteFile, Resolved
from moltghost.registries.tokens import HubToken
from moltghost.registries.web import Answer, Web, require_safe, shown, unexpected_status
from moltghost.units import MIB

_REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9_][\w.-]{0,95}", re.ASCII)
_REVISION = re.compile(r"[A-Za-z0-9_][\w.-]{0,99}(?:/[A-Za-z0-9_][\w.-]{0,99}){0,3}", re.ASCII)
_COMMIT = re.compile(r"[0-9a-f]{40}")
_PATH = re.compile(r"[^/\\\x00-\x1f]{1,255}(?:/[^/\\\x00-\x1f]{1,255}){0,15}")
_MOST_FILES, _LISTING_BYTES = 20_000, 16 * MIB
_MAIN = "main"
_REFUSED_CREDENTIALS = "Invalid credentials"


@dataclass(frozen=True, slots=True)
class Repository:
    """A repository of the hub at a commit.

    Attributes:
        name: `owner/repository`.
        commit: 40 hexadecimal digits.
        gated: whether its page asks for a licence to be accepted.
        licence: as its card says it, such as `apache-2.0`; empty where it doesn't.
        files: what is kept by its sha256, such as GGUF files, by their paths.
        names: the paths of all files.
    """

    name: str
    commit: str
    gated: bool
    licence: str
    files: Mapping[str, RemoteFile]
    names: tuple[str, ...]


class HuggingFace:
    """The hub, or a mirror of it.

    Args:
        web: what asks it.
        endpoint: its address; by default `HF_ENDPOINT`, else the hub's own.
        token: who asks; None asks anonymously.

    Raises:
        Unexpected: the address isn't https.
    """

    def __init__(
        self, web: Web, endpoint: str | None = None, token: HubToken | None = None
    ) -> None:
        self._web, self._token = web, token
        self.endpoint = (endpoint or hub_endpoint()).rstrip("/")
        require_safe(self.endpoint)

    def repository(self, name: str, revision: str = _MAIN) -> Repository:
        """A repository's files at a branch, tag or commit.

        Raises:
            Refused: it isn't the name of a repository or revision.
            RegistryError: the hub doesn't give it; the class says why.
        """
        if not _REPOSITORY.fullmatch(name) or ".." in name:
            raise Refused(
                f"{name!r} isn't the name of a repository of the Hugging Face hub",
                "write OWNER/REPOSITORY, such as hf:bartowski/Qwen_Qwen3-8B-GGUF:Q4_K_M",
            )
        if not _REVISION.fullmatch(revision) or ".." in revision:
            raise Refused(
                f"{revision!r} isn't a revision of a repository",
                "name a branch, a tag or a commit of 40 digits",
            )
        where = f"{self.endpoint}/api/models/{name}/revision/{quote(revision, safe='')}"
        answer = self._web.ask(
            f"{where}?blobs=true", token=self._token, most_bytes=_LISTING_BYTES, other_hosts=False
        )
        if answer.status != HTTPStatus.OK:
            raise self._refusal(answer, name, revision)
        return self._read(documents.parse_object(answer.content, where), name, where)

    def resolve(self, name: str, quantization: str = "", revision: str = _MAIN) -> Resolved:
        """The files of one quantization, all parts of it, and the projectors beside them.

        Without a quantization it is Q4_K_M, or the only one there is.

        Raises:
            Refused: the repository has no GGUF files, or not in this quantization.
            RegistryError: the hub doesn't give them; the class says why.
        """
        repository = self.repository(name, revision)
        names = of_quantization(name, repository.names, quantization)
        return self._resolved(repository, names)

    def resolve_files(self, name: str, files: Sequence[str], revision: str = _MAIN) -> Resolved:
        """Files by their paths, in their order.

        Raises:
            RegistryError: the hub doesn't give them; the class says why.
        """
        return self._resolved(self.repository(name, revision), files)

    def _resolved(self, repository: Repository, names: Sequence[str]) -> Resolved:
        files = [self._file(repository, name) for name in names]
        self._require_given(repository, files[0])
        projectors = [
            repository.files[name]
            for name in projectors_of(repository.names)
            if name in repository.files and name not in names
        ]
        return Resolved(
            registry=Registry.HUGGING_FACE,
            name=repository.name,
            revision=repository.commit,
            files=(*files, *projectors),
            quantization=quantization_of(names[0]),
            licences=(repository.licence,) if repository.licence else (),
            gated=repository.gated,
        )

    def _file(self, repository: Repository, name: str) -> RemoteFile:
        if found := repository.files.get(name):
            return found
        if name in repository.names:
            raise Unexpected(
                f"{self.endpoint}/{repository.name}: the hub names no sha256 of {name}",
                "take a file that is kept by Git LFS, as GGUF files are",
            )
        raise NotFound(
            f"{self.endpoint}/{repository.name} has no file {name} at {repository.commit}",
            f"its files are listed at {self._page(repository.name)}/tree/{repository.commit}",
        )

    def _require_given(self, repository: Repository, file: RemoteFile) -> None:
        """Ask for a file's headers: whether it may be had, and is what the listing says."""
        answer = self._web.ask(file.url, method="HEAD", token=self._token, other_hosts=False)
        if answer.status >= HTTPStatus.BAD_REQUEST:
            raise self._refusal(answer, repository.name, repository.commit)
        headers = answer.headers
        tag = headers.get("x-linked-etag", "").removeprefix("W/").strip('"')
        stated = {
            "commit": (headers.get("x-repo-commit", ""), repository.commit),
            "sha256": (tag, file.sha256),
            "size": (headers.get("x-linked-size", ""), str(file.size_bytes)),
        }
        for what, (found, expected) in stated.items():
            if found and found != expected:  # mirrors leave some of them out
                raise Unexpected(
                    f"{shown(file.url)}: its {what} is {found[:80]} in its headers and "
                    f"{expected} in the repository's listing",
                    "try again later; if a mirror is set (HF_ENDPOINT), check its address",
                )

    def _read(self, found: Mapping[str, Any], name: str, where: str) -> Repository:
        commit, siblings = found.get("sha"), found.get("siblings")
        if not isinstance(commit, str) or not _COMMIT.fullmatch(commit):
            raise documents.malformed(where, "it names no commit")
        if not isinstance(siblings, list) or len(siblings) > _MOST_FILES:
            raise documents.malformed(where, "it has no list of files, or too long a one")
        card = found.get("cardData")
        licence = card.get("license") if isinstance(card, dict) else None
        names = [_path(sibling, where) for sibling in siblings]
        towers = projectors_of(names)
        files = {}
        for path, sibling in zip(names, siblings, strict=True):
            if isinstance(lfs := sibling.get("lfs"), dict):
                files[path] = RemoteFile(
                    name=path,
                    url=f"{self.endpoint}/{name}/resolve/{commit}/{quote(path)}",
                    sha256=documents.sha256_of(lfs.get("sha256"), where),
                    size_bytes=documents.size_of(lfs.get("size"), where),
                    role=FileRole.PROJECTOR if path in towers else FileRole.MODEL,
                )
        gated = bool(found.get("gated"))
        licence = licence if isinstance(licence, str) and len(licence) < 100 else ""
        return Repository(name, commit, gated, licence, files, tuple(names))

    def _refusal(self, answer: Answer, name: str, revision: str) -> RegistryError:
        page, status = self._page(name), answer.status
        code = answer.headers.get("x-error-code", "")
        said = answer.headers.get("x-error-message", "")
        if code == "GatedRepo":
            return self._gated(page, name)
        if code == "RevisionNotFound":
            return NotFound(
                f"{page} has no revision {revision!r}", "name a branch, a tag or a commit of it"
            )
        refused = status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)
        if self._token and refused and (code != "RepoNotFound" or _REFUSED_CREDENTIALS in said):
            return Unauthorized(
                f"{page}: {self._token} was refused ({status})",
                "make a token that may read this repository at "
                f"{self.endpoint}/settings/tokens, and put it into HF_TOKEN",
            )
        if status in (HTTPStatus.NOT_FOUND, HTTPStatus.UNAUTHORIZED):
            # The hub says 401 to somebody unknown, also of what doesn't exist.
            return NotFound(
                f"{page}: the hub has no such repository or file, or it is private",
                "check the name; of a private one, put a token that may read it into HF_TOKEN",
            )
        if status == HTTPStatus.FORBIDDEN:
            return Unauthorized(
                f"{page} is refused to whoever has no token (403)",
                f"put a token of {self.endpoint}/settings/tokens into HF_TOKEN",
            )
        return unexpected_status(answer)

    def _gated(self, page: str, name: str) -> Gated:
        then = (
            f"{self._token} belongs to an account that hasn't done so or waits for the owner"
            if self._token
            else f"then put a token of {self.endpoint}/settings/tokens into HF_TOKEN"
        )
        return Gated(
            f"{name} is gated: its licence has to be accepted first",
            f"sign in and accept it at {page}; {then}",
        )

    def _page(self, name: str) -> str:
        return f"{self.endpoint}/{name}"


def _path(sibling: object, where: str) -> str:
    path = sibling.get("rfilename") if isinstance(sibling, dict) else None
    if not isinstance(path, str) or not _PATH.fullmatch(path) or ".." in path.split("/"):
        raise documents.malformed(where, f"{str(path)[:80]!r} isn't the path of a file")
    return path
