"""The wheel that this installation came from: a project pins it by file and hash."""

from __future__ import annotations

import hashlib
import json
from importlib.metadata import distribution
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

from moltghost.errors import Refused

_HINT = "name it: --wheel moltghost-VERSION-py3-none-any.whl (in a checkout, make wheel builds it)"


def find_wheel(given: Path | None) -> Path:
    """The wheel: ``given``, else the file that pip has noted down (PEP 610).

    Raises:
        Refused: it isn't known, isn't there, or isn't what is installed.
    """
    wheel, noted = (given, "") if given else _installed()
    version = distribution("moltghost").version
    if not wheel.is_file() or not wheel.name.startswith(f"moltghost-{version}-"):
        raise Refused(f"{wheel} is not the wheel of moltghost {version}", _HINT)
    if noted and noted != sha256(wheel):
        raise Refused(f"{wheel} is not the file any more that was installed", _HINT)
    return wheel


def sha256(file: Path) -> str:
    """The file's digest in hexadecimal."""
    return hashlib.sha256(file.read_bytes()).hexdigest()


def _installed() -> tuple[Path, str]:
    text = distribution("moltghost").read_text("direct_url.json")
    noted = json.loads(text) if text else {}
    url = urlsplit(noted.get("url", ""))
    if url.scheme != "file" or "archive_info" not in noted:
        raise Refused("the wheel that a new project pins isn't known here", _HINT)
    digest = noted["archive_info"].get("hashes", {}).get("sha256", "")
    return Path(url2pathname(url.path)), digest
