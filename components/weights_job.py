"""The Job that builds a model store, and the Secret with its key, as they go over the wire.

A job is something that is done, not a state that a stack keeps: no engine has it in its records
(decision 53), so these are plain manifests, of the parts that every pod of ours has.
"""

from __future__ import annotations

import json
from typing import Any

from moltghost.components.pod_parts import (
    LAST_LINES,
    container_security,
    env,
    mount,
    ollama_probe,
    pod_security,
    resources,
    scratch,
    tolerations,
)
from moltghost.labels import BUILD_CONTAINER, OLLAMA_CONTAINER, WEIGHTS_ANNOTATION
from moltghost.planning.weights import WeightsJobPlan

Manifest = dict[str, Any]

_MODELS, _WORK = "/models", "/work"
_OLLAMA_HOME = "/home/ollama"
_TMP = "/tmp"  # noqa: S108 in the container
# The store's key, where AWS's SDK for Go looks for it.
_KEY_NAMES = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")


def weights_job(plan: WeightsJobPlan, *, with_key: bool) -> Manifest:
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
                    "annotations": plan.scheduling.annotations,
                },
                "spec": _pod(plan, with_key=with_key),
            },
        },
    }


def key_secret(plan: WeightsJobPlan, access: str, secret: str, owner: Manifest) -> Manifest:
    """The store's key, which goes with the Job ``owner``."""
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
        "stringData": dict(zip(_KEY_NAMES, (access, secret), strict=True)),
    }


def _what(plan: WeightsJobPlan) -> str:
    """What the Job builds, to tell it from one that builds the store from something else."""
    return json.dumps(
        {"store": plan.store_url, "sha256": plan.source.sha256, "quantize": plan.quantize},
        sort_keys=True,
    )


def _pod(plan: WeightsJobPlan, *, with_key: bool) -> Manifest:
    return {
        "restartPolicy": "Never",
        "serviceAccountName": plan.service_account,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": pod_security(),
        "nodeSelector": plan.scheduling.node_selector,
        "tolerations": tolerations(plan.scheduling.tolerations),
        **({"runtimeClassName": runtime} if (runtime := plan.scheduling.runtime_class) else {}),
        "initContainers": [_ollama(plan)],
        "containers": [_build(plan, with_key=with_key)],
        "volumes": [scratch("models", plan.models_bytes), scratch("work", plan.scratch_bytes)],
    }


def _ollama(plan: WeightsJobPlan) -> Manifest:
    """A native sidecar: it is there before the build begins and ends with it."""
    return {
        "name": OLLAMA_CONTAINER,
        "image": plan.images.ollama,
        "restartPolicy": "Always",
        "args": ["serve"],
        "env": env(
            {
                "HOME": _OLLAMA_HOME,
                "OLLAMA_HOST": f"127.0.0.1:{plan.ollama_port}",
                "OLLAMA_MODELS": _MODELS,
                "OLLAMA_NO_CLOUD": "1",
                "OLLAMA_KEEP_ALIVE": "0",
            }
        ),
        "securityContext": container_security(),
        "resources": resources(plan.ollama_share),
        "startupProbe": ollama_probe(),
        "volumeMounts": [
            mount("models", _MODELS),
            mount("work", _OLLAMA_HOME, below="home"),
            mount("work", _TMP, below="ollama-tmp"),
        ],
    }


def _build(plan: WeightsJobPlan, *, with_key: bool) -> Manifest:
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
    return {
        "name": BUILD_CONTAINER,
        "image": plan.images.tools,
        "args": ["build", *(f"--{name}={value}" for name, value in options.items())],
        "env": env(environment),
        **({"envFrom": [{"secretRef": {"name": plan.name}}]} if with_key else {}),
        "securityContext": container_security(),
        "resources": resources(plan.builder_share),
        "terminationMessagePolicy": LAST_LINES,
        "volumeMounts": [
            mount("models", _MODELS),
            mount("work", _WORK, below="build"),
            mount("work", _TMP, below="build-tmp"),
        ],
    }
