"""What a file is that doesn't begin as a GGUF does."""

from __future__ import annotations

from pathlib import Path

from moltghost.errors import Refused

_SIZE_BYTES = 8  # of a safetensors' header
_CONVERT = "convert it with llama.cpp's convert_hf_to_gguf.py, or take a GGUF of the same model"
_AGAIN = "download it again; a GGUF of version 2 or 3 is taken"
_BEGINNINGS = (
    (
        b"version https://git-lfs",
        "a Git LFS pointer, the file itself wasn't downloaded",
        "run git lfs pull, or download it from its page on the model hub",
    ),
    (b"<!doctype", "a web page, such as an error or a login page", _AGAIN),
    (b"<html", "a web page, such as an error or a login page", _AGAIN),
    (b"pk\x03\x04", "an archive, such as a PyTorch model", _CONVERT),
    (b"\x80\x02", "a Python pickle, such as a PyTorch model", _CONVERT),
    (b"tjgg", "a GGML file from before GGUF", "take a GGUF of the same model"),
    (b"fmgg", "a GGML file from before GGUF", "take a GGUF of the same model"),
    (b"lmgg", "a GGML file from before GGUF", "take a GGUF of the same model"),
)


def foreign_file(path: Path, start: bytes, size: int) -> Refused:
    """That a file is no GGUF, and what it is as far as its first bytes say.

    Args:
        path: the file.
        start: its first bytes.
        size: all its bytes.
    """
    lowered = start.lstrip().lower()
    for beginning, what, hint in _BEGINNINGS:
        if lowered.startswith(beginning):
            return Refused(f"{path} is not a GGUF file: it is {what}", hint)
    header = int.from_bytes(start[:_SIZE_BYTES], "little")
    if start[_SIZE_BYTES : _SIZE_BYTES + 1] == b"{" and header < size:
        return Refused(
            f"{path} is not a GGUF file: it is safetensors, which aren't covered", _CONVERT
        )
    return Refused(
        f"{path} is not a GGUF file that can be sized: it doesn't begin with GGUF", _AGAIN
    )
