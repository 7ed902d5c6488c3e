"""The images of an environment: what there is of them, pinning them, publishing ours."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from moltghost import locks
from moltghost.aws import registry as ecr
from moltghost.aws.clients import Clients
from moltghost.config import Environment, StackName, read_environment
from moltghost.errors import Refused
from moltghost.images import store
from moltghost.images.registry import Registry, RegistryError
from moltghost.lifecycle.agents import stack_files
from moltghost.planning.aws.cloud import AwsCloudPlan
from moltghost.planning.aws.storage import RepositoryPlan
from moltghost.planning.cloud import plan_cloud
from moltghost.planning.images import pinned_images, substitutes, version_of
from moltghost.progress import Report

Connect = Callable[[AwsCloudPlan], Registry]


@dataclass(frozen=True, kw_only=True)
class ImageStatus:
    """One image of an environment.

    Args:
        name: what it is for.
        reference: what pods use.
        stands_for: on this machine, the image of upstream that it takes the place of; on AWS, the
            image that it is copied from; "" where it is upstream's own.
        substituted: whether it holds another version than that.
        built: whether its archive is on this machine; None where that is no question.
        size_bytes: of the archive.
        digest: of the archive's image, or the one that the config pins; "" while there is none.
    """

    name: str
    reference: str
    stands_for: str
    substituted: bool
    built: bool | None
    size_bytes: int | None
    digest: str


@dataclass(frozen=True, kw_only=True)
class Published:
    """An image in an environment's registry.

    Args:
        reference: where it is.
        digest: of its manifest.
        pushed: False if it was there already.
    """

    reference: str
    digest: str
    pushed: bool


def list_images(project: Path, name: str) -> list[ImageStatus]:
    """Every image of an environment, and what is known of it without asking a registry.

    Raises:
        Refused: the environment's config isn't there or is invalid.
    """
    cloud = plan_cloud(read_environment(project, name))
    if isinstance(cloud, AwsCloudPlan):
        return [_in_registry(each) for each in cloud.repositories]
    ours = substitutes(cloud.images)
    return [
        _on_this_machine(each) if each in ours else _upstreams(each, reference)
        for each, reference in cloud.images.model_dump().items()
    ]


def publish(
    project: Path, name: str, report: Report, connect: Connect | None = None
) -> tuple[list[Published], list[RepositoryPlan]]:
    """Push the images that are ours to the environment's registry, building what is missing.

    Returns:
        What is there now, and the repositories whose images are upstream's: to be copied.

    Raises:
        Refused: the environment has no registry, or a tag there holds another image.
        Failed: a build failed, or the registry refuses.
    """
    cloud = _on_aws(read_environment(project, name))
    upstream = pinned_images().model_dump()
    ours = {upstream[recipe.name]: recipe for recipe in store.RECIPES if recipe.ours}
    archives = store.ensure_built(report, [recipe.name for recipe in ours.values()])
    sources = dict(zip(ours, archives, strict=True))
    published = []
    with (connect or _connect)(cloud) as registry:
        # All tags before the first push: a refusal leaves nothing half done.
        found = {
            each.source: registry.digest(each.name, version_of(each.image))
            for each in cloud.repositories
            if each.source in sources
        }
        for source, digest in found.items():
            if digest not in (None, sources[source].digest):
                raise Refused(
                    f"the registry has another image as {source.rpartition('/')[2]}: {digest}, "
                    f"not {sources[source].digest}; its tags can't be changed",
                    "give the image another version in moltghost/planning/images.json",
                )
        for each in cloud.repositories:
            if each.source in sources:
                archive = sources[each.source]
                if found[each.source] is None:
                    registry.push(archive, each.name, version_of(each.image), report)
                published.append(
                    Published(
                        reference=each.image.partition("@")[0],
                        digest=archive.digest,
                        pushed=found[each.source] is None,
                    )
                )
    return published, [each for each in cloud.repositories if each.source not in sources]


def pin(project: Path, name: str, connect: Connect | None = None) -> dict[str, str]:
    """Write the digests that the environment's registry has now into the environment's config.

    Returns:
        Digest of each image, by its repository.

    Raises:
        Refused: the environment has no registry, it doesn't answer, or it lacks an image.
    """
    stack = StackName.parse(name).cloud
    with locks.held(stack_files.lock_file(project, stack), f"stack {stack}", "images pin"):
        cloud = _on_aws(read_environment(project, name))
        digests = _digests(cloud, connect or _connect)
        stack_files.write_value(project, stack, "image_digests", digests)
    return digests


def _digests(cloud: AwsCloudPlan, connect: Connect) -> dict[str, str]:
    found: dict[str, str] = {}
    missing = []
    try:
        with connect(cloud) as registry:
            for each in cloud.repositories:
                if digest := registry.digest(each.name, version_of(each.image)):
                    found[each.name.rpartition("/")[2]] = digest
                else:
                    missing.append(f"{each.name}:{version_of(each.image)}")
    except RegistryError as error:
        raise Refused(error.message, error.hint) from error
    if missing:
        raise Refused(
            f"the registry of {cloud.environment} has no {', '.join(missing)}",
            f"moltghost images publish {cloud.environment} pushes ours, and says how to copy the "
            "others",
        )
    return found


def _on_aws(environment: Environment) -> AwsCloudPlan:
    cloud = plan_cloud(environment)
    if not isinstance(cloud, AwsCloudPlan):
        raise Refused(
            f"environment {environment.name} has no registry: its images are archives on this "
            "machine, each named by what it was made from",
            "moltghost images list shows them; name an environment on AWS",
        )
    return cloud


def _connect(cloud: AwsCloudPlan) -> Registry:
    place = cloud.place
    clients = Clients(place.region)
    return Registry(
        place.registry.partition("/")[0], lambda: ecr.credentials(clients, place.account_id)
    )


def _on_this_machine(name: str) -> ImageStatus:
    recipe, archive = store.recipe(name), store.archive(name)
    built = archive.file.exists()
    return ImageStatus(
        name=name,
        reference=recipe.reference,
        stands_for=recipe.substitute.stands_for,
        substituted=recipe.substitute.other_version,
        built=built,
        size_bytes=archive.size_bytes if built else None,
        digest=archive.digest if built else "",
    )


def _upstreams(name: str, reference: str) -> ImageStatus:
    return ImageStatus(
        name=name,
        reference=reference,
        stands_for="",
        substituted=False,
        built=None,
        size_bytes=None,
        digest=reference.partition("@")[2],
    )


def _in_registry(repository: RepositoryPlan) -> ImageStatus:
    name = repository.name.rpartition("/")[2]
    shown = _upstreams(name, repository.image)
    return ImageStatus(**{**vars(shown), "stands_for": repository.source})
