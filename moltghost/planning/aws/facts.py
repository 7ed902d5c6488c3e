"""Versions that belong together on EKS, from ``facts.json``."""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from typing import Any

from moltghost.errors import Refused
from moltghost.planning.base import Plan


class KubernetesRelease(Plan):
    """What goes with one version of Kubernetes on EKS."""

    ami_kubernetes: str
    """The version in the images, with its patch."""
    ami_release: str
    addons: dict[str, str]


class Chart(Plan):
    """A Helm chart by version; its definitions are a chart of their own."""

    chart: str
    crd_chart: str
    version: str


@cache
def _facts() -> dict[str, Any]:
    text = files(__package__).joinpath("facts.json").read_text(encoding="utf-8")
    facts: dict[str, Any] = json.loads(text)
    return facts


def kubernetes_release(version: str) -> KubernetesRelease:
    """What goes with a version of Kubernetes.

    Raises:
        Refused: the version isn't one that add-ons and images are pinned for.
    """
    known = _facts()["kubernetes"]
    if version not in known:
        raise Refused(
            f"kubernetes_version {version} has no pinned add-ons and images here",
            f"take one of {', '.join(known)}; a new one comes with its entry in "
            f"moltghost/planning/aws/facts.json",
        )
    return KubernetesRelease.model_validate(known[version])


def karpenter_chart() -> Chart:
    """Karpenter's chart and the chart of its definitions."""
    return Chart.model_validate(_facts()["karpenter"])


def node_images() -> dict[str, str]:
    """Images of what runs on GPU nodes beside agents, where their makers publish them."""
    return dict(_facts()["images"])


def eks_registry_account(region: str) -> str:
    """The account whose registry EKS's own images come from in a region.

    Raises:
        Refused: no such account is known, so that nodes could pull none of them.
    """
    accounts: dict[str, str] = _facts()["eks_registries"]
    if region not in accounts:
        raise Refused(
            f"the account of EKS's own images in region {region} isn't known here, and nodes "
            "reach no registry but those that are named",
            f"take one of {', '.join(accounts)}; another comes with its entry in "
            "moltghost/planning/aws/facts.json",
        )
    return accounts[region]
