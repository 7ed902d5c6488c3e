"""Names that change with the content, and words of Kubernetes and of Pulumi's provider for it."""

from __future__ import annotations

import hashlib

_HASH_LENGTH = 10
NOT_AWAITED = {"pulumi.com/skipAwait": "true"}
"""Annotation of an object that an `up` goes on without; an engine waits 10 minutes at most else."""


def content_name(prefix: str, content: str) -> str:
    """``prefix`` with a hash of the content: a changed ConfigMap is a new one, so pods roll."""
    digest = hashlib.sha256(content.encode()).hexdigest()
    return f"{prefix}-{digest[:_HASH_LENGTH]}"


def seconds(count: int) -> str:
    """A duration as Kubernetes and Pulumi write it."""
    return f"{count}s"
