"""Where model stores and their sources lie in a weights bucket.

A store is everything below ``stores/ollama-<version>/<model>/<quantization>/``: ``blobs/`` and
``manifests/`` as Ollama keeps them, and the record ``store.json``, which is written last. A source
is one object, ``sources/<sha256>.gguf``. What runs in pods gets whole URLs and knows no layout.
"""

from __future__ import annotations

from dataclasses import dataclass

STORES = "stores/"
"""Prefix of the model stores in the bucket."""
SOURCES = "sources/"
"""Prefix of the files that stores are built from."""
RECORD = "store.json"
"""Name of a store's record, below the store's prefix."""
_SCHEME = "s3://"
_OLLAMA = "ollama-"


@dataclass(frozen=True, kw_only=True)
class StoreKey:
    """Which store: a model's weights as one version of Ollama keeps them."""

    ollama_version: str
    model: str
    quantization: str

    @property
    def prefix(self) -> str:
        """Of the store's objects in the bucket, with a slash at its end."""
        return f"{STORES}{_OLLAMA}{self.ollama_version}/{self.model}/{self.quantization}/"

    def url(self, bucket_url: str) -> str:
        """URL of the store in a bucket, without a slash at its end."""
        return f"{bucket_url}/{self.prefix.rstrip('/')}"

    @classmethod
    def of(cls, key: str) -> StoreKey | None:
        """The store that an object or a prefix belongs to; None outside of every store."""
        parts = key.removeprefix(STORES).split("/")
        if not key.startswith(STORES) or len(parts) <= 3 or not all(parts[:3]):
            return None
        version, model, quantization = parts[:3]
        if not version.startswith(_OLLAMA) or version == _OLLAMA:
            return None
        return cls(
            ollama_version=version.removeprefix(_OLLAMA), model=model, quantization=quantization
        )


def source_key(sha256: str) -> str:
    """Where a source lies in the bucket."""
    return f"{SOURCES}{sha256}.gguf"


def source_url(bucket_url: str, sha256: str) -> str:
    """URL of a source in a bucket."""
    return f"{bucket_url}/{source_key(sha256)}"


def bucket_url(bucket: str) -> str:
    """URL of a bucket, without a slash at its end."""
    return f"{_SCHEME}{bucket}"


def bucket_name(url: str) -> str:
    """Name of the bucket that a URL is of, or lies in.

    Raises:
        ValueError: it isn't a URL of S3.
    """
    return _parts(url)[0]


def prefix_of(url: str) -> str:
    """Prefix in its bucket of a store's URL, with a slash at its end.

    Raises:
        ValueError: it isn't a URL of S3.
    """
    return _parts(url)[1].rstrip("/") + "/"


def _parts(url: str) -> tuple[str, str]:
    if not url.startswith(_SCHEME):
        raise ValueError(f"{url} isn't a URL of S3")
    bucket, _slash, key = url.removeprefix(_SCHEME).partition("/")
    return bucket, key
