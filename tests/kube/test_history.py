from __future__ import annotations

import json
from typing import Any

from moltghost.kube.history import revisions
from tests.examples import agent_spec
from tests.kube.clusters import LABELS, client


def replica_set(number: int, model: str, **annotations: str) -> dict[str, Any]:
    spec = json.dumps(agent_spec(model=f"{model}-q4").as_written())
    return {
        "kind": "ReplicaSet",
        "metadata": {
            "name": f"model-server-{number}",
            "labels": LABELS,
            "creationTimestamp": f"2026-11-22T10:0{number}:00Z",
            "annotations": {
                "deployment.kubernetes.io/revision": str(number),
                "moltghost.dev/spec": spec,
                **annotations,
            },
        },
        "spec": {
            "template": {
                "metadata": {
                    "annotations": {
                        "moltghost.dev/model": model,
                        "moltghost.dev/quantization": "Q4_K_M",
                        "moltghost.dev/context": "32768",
                    }
                }
            }
        },
    }


def test_the_newest_is_first_and_runs_now() -> None:
    cluster = client(
        replica_set(2, "llama3.1-8b"), replica_set(9, "qwen2.5-72b"), replica_set(8, "llama3.1-70b")
    )
    found = revisions(cluster, "my-agent")
    assert [(each.number, each.model, each.current) for each in found] == [
        (9, "qwen2.5-72b", True),
        (8, "llama3.1-70b", False),
        (2, "llama3.1-8b", False),
    ]
    assert found[0].context == 32768
    assert "spec" not in found[0].to_json()


def test_a_replica_set_that_says_nothing_of_a_config_is_not_ours_to_go_back_to() -> None:
    foreign = replica_set(1, "llama3.1-8b")
    del foreign["metadata"]["annotations"]["moltghost.dev/spec"]
    assert revisions(client(foreign), "my-agent") == []
