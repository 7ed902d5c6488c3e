"""Container images, by registry, repository and account: which may run."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from .pods import PODS, Pod, of_each_pod, pods_in
from .reading import accounts_of, get, has, items, matches
from .rule import ADVISORY, HIGH, MEDIUM, Config, rule, stack_rule, texts
from .subject import Subject

_AWS_PROVIDER = "pulumi:providers:aws"
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_ECR = re.compile(r"(\d{12})\.dkr\.ecr(?:-fips)?\.[a-z0-9-]+\.amazonaws\.com(?:\.cn)?")
# Tags that name whatever was pushed last.
_MOVING = re.compile(r"(latest|main|master|head|edge|nightly|canary|snapshot|stable|dev)([._-].*)?")


@dataclass(frozen=True)
class Image:
    """A reference to an image, with the registry that a container runtime takes for it."""

    text: str
    registry: str
    repository: str
    tag: str
    digest: str

    @property
    def is_versioned(self) -> bool:
        """Whether it names one version: by digest, or by a tag that isn't meant to move."""
        return bool(self.digest or (self.tag and not _MOVING.fullmatch(self.tag.lower())))

    def comes_from(self, patterns: Sequence[str]) -> bool:
        """Whether one of the patterns REGISTRY/REPOSITORY fits; no * reaches over the first /."""
        return any(
            matches(self.registry, [registry]) and matches(self.repository, [repository])
            for registry, _, repository in (each.partition("/") for each in patterns)
        )


def image_of(text: str) -> Image:
    """An image reference in its parts."""
    name, _, digest = text.partition("@")
    first, slash, rest = name.partition("/")
    # As the reference format has it: only what looks like a host is one.
    named = bool(slash) and (first == "localhost" or "." in first or ":" in first)
    registry, path = (first.lower(), rest) if named else ("docker.io", name)
    if registry == "docker.io" and "/" not in path:
        path = f"library/{path}"
    place, _, last = path.rpartition("/")
    repository, _, tag = last.partition(":")
    return Image(
        text=text,
        registry="docker.io" if registry == "index.docker.io" else registry,
        repository=f"{place}/{repository}" if place else repository,
        tag=tag,
        digest=digest if _DIGEST.fullmatch(digest) else "",
    )


def images_of(pod: Pod) -> Iterator[tuple[str, Image]]:
    """Every image of a pod, with how it uses it; volumes may be images too."""
    for each in pod.containers:
        text = str(get(each.spec, "image", ""))
        yield f"{each} runs {text or 'no image'}", image_of(text)
    for volume in items(pod.spec, "volumes"):
        if has(volume, "image"):
            text = str(get(volume, "image.reference", ""))
            yield f"its volume {get(volume, 'name', '?')} is {text or 'no image'}", image_of(text)


@rule(
    why="latest is another program tomorrow.",
    fix="name a version tag or a digest, of an image from an allowed registry",
    severity=HIGH,
    types=PODS,
    sources=("CKV_K8S_14", "KSV-0013", "KSV-0125", "C-0078"),
    schema={
        "registries": texts(
            [
                "docker.io/ollama/*",
                "ghcr.io/moltghost/*",
                "ghcr.io/openclaw/*",
                "registry.k8s.io/*",
                "public.ecr.aws/karpenter/*",
                "public.ecr.aws/eks-distro/*",
                "nvcr.io/nvidia/*",
                "*.dkr.ecr.*.amazonaws.com/*",
            ],
            "Images that may be used, as REGISTRY/REPOSITORY; * matches within one of the two.",
        )
    },
)
@of_each_pod
def image_pinned(pod: Pod, config: Config) -> Iterator[str]:
    """Images name a version, and come from a known registry."""
    for use, image in images_of(pod):
        if not image.is_versioned:
            yield f"{use}, which names no version"
        if not image.comes_from(config["registries"]):
            yield f"{use}, which is from no allowed registry"


@stack_rule(
    why="Every AWS account has a registry under the same domain, an attacker's as well.",
    fix="copy the image into a repository of your own account, or name the account in accounts",
    severity=HIGH,
    types=PODS,
    schema={
        "accounts": texts(
            [],
            "Accounts whose ECR images may be used, beside those that the stack's AWS provider "
            "is limited to (allowedAccountIds).",
        )
    },
)
def image_account(subjects: Sequence[Subject], config: Config) -> Iterator[tuple[Subject, str]]:
    """Images in ECR come from the stack's own account."""
    own = {
        str(account)
        for each in subjects
        if each.type == _AWS_PROVIDER
        for account in accounts_of(each.props)
    }
    for subject, pod in pods_in(subjects):
        for use, image in images_of(pod):
            if image.registry.endswith((".amazonaws.com", ".amazonaws.com.cn")):
                found = _ECR.fullmatch(image.registry)
                if not found or found[1] not in {*own, *config["accounts"]}:
                    yield subject, f"{use}, which is in no account of the stack"


@rule(
    why="A tag can be moved to another image; a digest is the image.",
    fix="append @sha256:... of the image that was tested",
    severity=MEDIUM,
    level=ADVISORY,
    types=PODS,
    sources=("CKV_K8S_43",),
)
@of_each_pod
def image_digest(pod: Pod, _config: Config) -> Iterator[str]:
    """Images are named by digest."""
    for use, image in images_of(pod):
        if not image.digest:
            yield f"{use}, which names no digest"
