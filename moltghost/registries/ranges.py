"""Reads parts of a remote file, as from a file that is open."""

from __future__ import annotations

import re
from http import HTTPStatus

from moltghost.registries.errors import Unexpected
from moltghost.registries.resolved import RemoteFile
from moltghost.registries.tokens import HubToken
from moltghost.registries.web import Web, shown, unexpected_status
from moltghost.units import MIB, format_bytes

_CONTENT_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+|\*)")
# Headers of 256k words of vocabulary and 1000 tensors are below 20 MiB.
_MOST_BYTES = 128 * MIB


class RemoteStream:
    """A file in a registry, read by ranges; never more than a bound in all.

    What is read this way has no checksum: it is good for planning, and the file is held against
    its sha256 when it is fetched.

    Args:
        web: what asks.
        file: which file.
        token: sent to the host of its URL, never to another.
        most_bytes: of all reads together.
    """

    def __init__(
        self,
        web: Web,
        file: RemoteFile,
        token: HubToken | None = None,
        most_bytes: int = _MOST_BYTES,
    ) -> None:
        self._web, self._file, self._token = web, file, token
        self._at, self._left = 0, most_bytes
        self.size_bytes = file.size_bytes

    def seek(self, offset: int) -> int:
        """Go to a byte of the file, counted from its start."""
        self._at = offset
        return offset

    def read(self, length: int) -> bytes:
        """The next bytes; fewer only at the file's end.

        Raises:
            RegistryError: they can't be had; the class says why.
        """
        length = min(length, self.size_bytes - self._at)
        if length <= 0:
            return b""
        self._left -= length
        if self._left < 0:
            raise Unexpected(
                f"{shown(self._file.url)} has a header of more than "
                f"{format_bytes(self.size_bytes + self._left)}, which no model has",
                "choose another file",
            )
        last = self._at + length - 1
        answer = self._web.ask(
            self._file.url,
            headers={"Range": f"bytes={self._at}-{last}"},
            token=self._token,
            most_bytes=length,
        )
        if answer.status != HTTPStatus.PARTIAL_CONTENT:
            raise unexpected_status(answer)
        expected = (str(self._at), str(last), str(self.size_bytes))
        match = _CONTENT_RANGE.fullmatch(answer.headers.get("content-range", ""))
        if not match or match.groups() != expected or len(answer.content) != length:
            raise Unexpected(
                f"{shown(answer.url)} gave other bytes than it was asked for "
                f"({answer.headers.get('content-range', 'no Content-Range')[:80]} of "
                f"{self.size_bytes} bytes)",
                "try again later; if a mirror is set, check its address",
            )
        self._at += length
        return answer.content
