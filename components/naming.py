"""Names that change with the content, and conversions to what Kubernetes expects."""

from __future__ import annotations

import hashlib

_HASH_LENGTH = 10


def content_name(prefix: str, content: str) -> str:
    """``prefix`` with a hash of the content: a changed ConfigMap is a new one, so pods roll."""
    digest = hashlib.sha256(content.encode()).hexdigest()
    return f"{prefix}-{digest[:_HASH_LENGTH]}"


def seconds(count: int) -> str:
    """A duration as Kubernetes and Pulumi write it."""
    return f"{count}s"
