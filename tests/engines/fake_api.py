"""An API server that has objects, takes JSON patches of their metadata, and fails when told to."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

from moltghost.kube.errors import api_error

Object = dict[str, Any]


class FakeApi:
    """Stands in for ``Client``.

    Args:
        objects: what is there.
        uid: the cluster's.
        on_patch: called with each patch's number, from 1, before it is looked at; may raise.
    """

    server = "https://fake"

    def __init__(
        self,
        *objects: Object,
        uid: str = "cluster-1",
        on_patch: Callable[[int], Any] = lambda _number: None,
    ) -> None:
        self.objects = {(each["kind"], each["metadata"]["name"]): each for each in objects}
        self.uid, self.on_patch = uid, on_patch
        self.patches = 0
        self.patience = 0.0

    def __call__(self, *_arguments: Any, **_options: Any) -> FakeApi:
        return self

    def close(self) -> None:
        pass

    def be_patient(self, seconds: float) -> None:
        self.patience = seconds

    def cluster_uid(self) -> str:
        return self.uid

    def touch(self, kind: str, name: str) -> None:
        """Change an object, as a controller does that writes its status."""
        metadata = self.objects[kind, name]["metadata"]
        metadata["resourceVersion"] = str(int(metadata["resourceVersion"]) + 1)

    def get(self, _api: str, kind: str, name: str, _namespace: str | None = None) -> Object | None:
        return copy.deepcopy(self.objects.get((kind, name)))

    def patch(
        self, _api: str, kind: str, name: str, _namespace: str | None, body: Any, **_: Any
    ) -> Object:
        self.patches += 1
        self.on_patch(self.patches)
        metadata = self.objects[kind, name]["metadata"]
        for step in body:
            key = step["path"].removeprefix("/metadata/")
            if step["op"] == "test" and metadata[key] != step["value"]:
                raise api_error(422, "Invalid", "the server rejected our request")
            metadata[key] = step["value"]
        self.touch(kind, name)
        return copy.deepcopy(self.objects[kind, name])
