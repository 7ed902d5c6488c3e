"""The Kubernetes objects of a weights job, as they go over the wire.

A job is something that is done, not a state that a stack keeps: no engine has it in its records.
"""

from __future__ import annotations

import json
from typing import Any

from components.hardening import UID
from moltghost.labels import BUILD_CONTAINER, OLLAMA_CONTAINER, WEIGHTS_ANNOTATION
from moltghost.planning.model_server import Share
from moltghost.planning.weights import WeightsJobPlan
from moltghost.weights_store.bucket import Key

Object = dict[str, Any]

_MODELS, _WORK = "/models", "/work"
_OLLAMA_HOME = "/home/ollama"
_START_SECONDS, _PROBE_SECONDS = 60, 5
# The store's key, where AWS's SDK for Go looks for it.
_KEY_NAMES = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")


def job(plan: WeightsJobPlan, *, with_key: bool) -> Object:
    """The Job, suspended: it begins when everything that it needs is there.

    Args:
        plan: what to build.
        with_key: the store has a key of its own, which a Secret of the Job's name holds.
    """
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": plan.name,
            "namespace": plan.namespace,
            "labels": plan.labels,
            "annotations": {WEIGHTS_ANNOTATION: _what(plan)},
        },
        "spec": {
            "suspend": True,
            "backoffLimit": plan.retries,
            "activeDeadlineSeconds": plan.deadline_seconds,
            "ttlSecondsAfterFinished": plan.keep_seconds,
            # A pod that went with its node is no failure of the build.
            "podFailurePolicy": {
                "rules": [
                    {
                        "action": "Ignore",
                        "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}],
                    }
                ]
            },
            "template": {
                "metadata": {
                    "labels": plan.labels,
                    "annotations": {"karpenter.sh/do-not-disrupt": "true"},
                },
                "spec": _pod(plan, with_key=with_key),
            },
        },
    }


def key_secret(plan: WeightsJobPlan, key: Key, owner: Object) -> Object:
    """The store's key, which goes with the Job."""
    metadata = owner["metadata"]
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": plan.name,
            "namespace": plan.namespace,
            "labels": plan.labels,
            "ownerReferences": [
                {
                    "apiVersion": "batch/v1",
                    "kind": "Job",
                    "name": metadata["name"],
                    "uid": metadata["uid"],
                }
            ],
        },
        "type": "Opaque",
        "stringData": dict(zip(_KEY_NAMES, (key.access, key.secret), strict=True)),
    }


def _what(plan: WeightsJobPlan) -> str:
    """What the Job builds, to tell it from one that builds the store from something else."""
    return json.dumps(
        {"store": plan.store_url, "sha256": plan.source.sha256, "quantize": plan.quantize},
        sort_keys=True,
    )


def _pod(plan: WeightsJobPlan, *, with_key: bool) -> Object:
    return {
        "restartPolicy": "Never",
        "serviceAccountName": plan.service_account,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": UID,
            "runAsGroup": UID,
            "fsGroup": UID,
            "fsGroupChangePolicy": "OnRootMismatch",
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "nodeSelector": plan.node_selector,
        "tolerations": [
            {"key": t.key, "operator": "Equal", "value": t.value, "effect": t.effect}
            for t in plan.tolerations
        ],
        "initContainers": [_ollama(plan)],
        "containers": [_build(plan, with_key=with_key)],
        "volumes": [
            _scratch("models", plan.models_bytes),
            _scratch("work", plan.scratch_bytes),
        ],
    }


def _ollama(plan: WeightsJobPlan) -> Object:
    """A native sidecar: it is there before the build begins and ends with it."""
    probe = {"exec": {"command": ["ollama", "ls"]}, "periodSeconds": _PROBE_SECONDS}
    return {
        "name": OLLAMA_CONTAINER,
        "image": plan.images.ollama,
        "restartPolicy": "Always",
        "args": ["serve"],
        "env": _env(
            {
                "HOME": _OLLAMA_HOME,
                "OLLAMA_HOST": f"127.0.0.1:{plan.ollama_port}",
                "OLLAMA_MODELS": _MODELS,
                "OLLAMA_NO_CLOUD": "1",
                "OLLAMA_KEEP_ALIVE": "0",
            }
        ),
        "securityContext": _security(),
        "resources": _resources(plan.ollama_share),
        "startupProbe": {
            **probe,
            "timeoutSeconds": _PROBE_SECONDS,
            "failureThreshold": _START_SECONDS // _PROBE_SECONDS,
        },
        "volumeMounts": [
            _mount("models", _MODELS),
            _mount("work", _OLLAMA_HOME, "home"),
            _mount("work", "/tmp", "ollama-tmp"),  # noqa: S108 in the container
        ],
    }


def _build(plan: WeightsJobPlan, *, with_key: bool) -> Object:
    source = plan.source
    options = {
        "source": source.url,
        "sha256": source.sha256,
        "source-name": source.name,
        "licence": source.licence,
        "to": plan.store_url,
        "models": _MODELS,
        "model": plan.model,
        "quantization": plan.quantization,
        "ollama-version": plan.ollama_version,
        **({"quantize": plan.quantize} if plan.quantize else {}),
    }
    environment = {
        "HOME": _WORK,
        "BUILD_OLLAMA": f"http://127.0.0.1:{plan.ollama_port}",
        **({"BUILD_OPTIONS": json.dumps(plan.options)} if plan.options else {}),
        **({"AWS_ENDPOINT_URL_S3": plan.store_endpoint} if plan.store_endpoint else {}),
    }
    container: Object = {
        "name": BUILD_CONTAINER,
        "image": plan.images.tools,
        "args": ["build", *(f"--{name}={value}" for name, value in options.items())],
        "env": _env(environment),
        "securityContext": _security(),
        "resources": _resources(plan.builder_share),
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": [
            _mount("models", _MODELS),
            _mount("work", _WORK, "build"),
            _mount("work", "/tmp", "build-tmp"),  # noqa: S108 in the container
        ],
    }
    if with_key:
        container["envFrom"] = [{"secretRef": {"name": plan.name}}]
    return container


def _env(values: dict[str, str]) -> list[Object]:
    return [{"name": name, "value": value} for name, value in values.items()]


def _security() -> Object:
    return {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


def _resources(share: Share) -> Object:
    """Requests equal limits, but for the CPU: an idle neighbour's cycles may be used."""
    limits = {
        "memory": str(share.memory_bytes),
        "ephemeral-storage": str(share.ephemeral_bytes),
    }
    return {"requests": {"cpu": f"{share.cpu_millis}m", **limits}, "limits": limits}


def _mount(volume: str, path: str, sub_path: str = "") -> Object:
    return {"name": volume, "mountPath": path, **({"subPath": sub_path} if sub_path else {})}


def _scratch(name: str, size_bytes: int) -> Object:
    return {"name": name, "emptyDir": {"sizeLimit": str(size_bytes)}}
