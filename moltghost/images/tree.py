"""The file system of an image, as a list of what lies where.

Owners are numbers and modes are normalised: nothing of the machine that builds shows in an image,
and no file can change who runs it.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

UID = 1000
_TMP_MODE = 0o1777


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A file, a folder or a link. Use the functions below to make one.

    Args:
        path: in the image, without a leading slash.
        mode: permission bits.
        source: the file that it is a copy of.
        content: of a file without a source.
        link: target, for a symbolic link.
        folder: whether it is one.
        owner: uid and gid.
    """

    path: str
    mode: int = 0o644
    source: Path | None = None
    content: bytes = b""
    link: str = ""
    folder: bool = False
    owner: int = 0


def copied(path: str, source: Path) -> Entry:
    """A copy of a file; executable for all if it is for its owner."""
    executable = source.stat().st_mode & stat.S_IXUSR
    return Entry(path=path, source=source, mode=0o755 if executable else 0o644)


def program(path: str, source: Path) -> Entry:
    """A copy of a file that can be executed."""
    return Entry(path=path, source=source, mode=0o755)


def written(path: str, text: str) -> Entry:
    """A small text file."""
    return Entry(path=path, content=text.encode())


def folder(path: str, *, mode: int = 0o755, owner: int = 0) -> Entry:
    """A folder."""
    return Entry(path=path, folder=True, mode=mode, owner=owner)


def linked(path: str, target: str) -> Entry:
    """A symbolic link."""
    return Entry(path=path, link=target)


def base(user: str, home: str) -> list[Entry]:
    """What every image has: one user apart from root, its home, ``/tmp``, name look-ups."""
    return [
        written(
            "etc/passwd",
            f"root:x:0:0:root:/root:/sbin/nologin\n{user}:x:{UID}:{UID}:{user}:{home}:/sbin/nologin\n",
        ),
        written("etc/group", f"root:x:0:\n{user}:x:{UID}:\n"),
        written("etc/nsswitch.conf", "hosts: files dns\n"),
        folder(home.lstrip("/"), mode=0o750, owner=UID),
        folder("tmp", mode=_TMP_MODE),
    ]


def walked(root: Path, path: str, keep: Callable[[str], bool]) -> Iterator[Entry]:
    """The files and links below ``root`` that ``keep`` wants, to lie below ``path``.

    Args:
        root: a folder of this machine.
        path: where it is in the image.
        keep: told each file's path below ``root``; a folder without files isn't in the image.
    """
    for parent, folders, files in os.walk(root):
        folders.sort()
        for name in sorted(
            [*files, *(each for each in folders if (Path(parent) / each).is_symlink())]
        ):
            file = Path(parent) / name
            relative = file.relative_to(root).as_posix()
            if not keep(relative):
                continue
            target = f"{path}/{relative}"
            yield (
                linked(target, str(file.readlink())) if file.is_symlink() else copied(target, file)
            )


def with_parents(entries: Iterable[Entry]) -> list[Entry]:
    """The entries sorted by path, with the folders that they lie in.

    Raises:
        ValueError: two entries have one path.
    """
    found: dict[str, Entry] = {}
    for entry in entries:
        if entry.path in found:
            raise ValueError(f"{entry.path} is in the image twice")
        found[entry.path] = entry
    for path in list(found):
        for parent in PurePosixPath(path).parents:
            if parent.name:
                found.setdefault(str(parent), folder(str(parent)))
    return [found[path] for path in sorted(found)]
