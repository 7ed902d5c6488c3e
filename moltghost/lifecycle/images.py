"""The images of an environment: what there is of them, publishing them, pinning them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from moltghost import locks
from moltghost.aws import registry as ecr
from moltghost.aws.clients import Clients
from moltghost.config import EnvironmentConfig, StackName, read_environment
from moltghost.errors import Refused
from moltghost.images import crane as crane_program
from moltghost.images import publication, store
from moltghost.images.archive import Archive
from moltghost.images.crane import Crane, RegistryError
from moltghost.images.logins import Login, docker_config
from moltghost.images.publication import Decision, Wanted
from moltghost.lifecycle.agents import stack_files
from moltghost.local.build import builder
from moltghost.planning.aws.cloud import AwsCloudPlan
from moltghost.planning.aws.storage import RepositoryPlan
from moltghost.planning.cloud import plan_cloud
from moltghost.planning.images import pinned_images, substitutes, version_of
from moltghost.progress import Report, silent

Connect = Callable[[AwsCloudPlan], AbstractContextManager[Crane]]


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


def list_images(project: Path, name: str) -> list[ImageStatus]:
    """Every image of an environment, and what is known of it without asking a registry.

    Raises:
        Refused: the environment's config isn't there or is invalid.
    """
    environment = read_environment(project, name)
    if registry := _registry_plan(environment):
        return [_in_registry(each) for each in registry.repositories]
    images = plan_cloud(environment).images
    ours = substitutes(images)
    return [
        _on_this_machine(each) if each in ours else _upstreams(each, reference)
        for each, reference in images.model_dump().items()
    ]


def publish(
    project: Path,
    name: str,
    report: Report = silent,
    *,
    dry_run: bool = False,
    connect: Connect | None = None,
) -> list[Decision]:
    """Copy upstream's images into the environment's registry, push ours, and pin all of them.

    Args:
        project: folder with the stack files.
        name: of the environment.
        report: is told what goes on.
        dry_run: only ask the registries what there is to do.
        connect: to the environment's registry; by default with the credentials of its account.

    Returns:
        What was done with each image, or would be.

    Raises:
        Refused: the environment has no registry, a registry doesn't answer or lets nobody in,
            upstream has no such image, or a tag in the registry holds another one.
        Failed: a build or a transfer failed; what is there already stays, nothing is pinned.
    """
    stack = StackName.parse(name).cloud
    with locks.held(stack_files.lock_file(project, stack), f"stack {stack}", "images publish"):
        cloud = _on_aws(read_environment(project, name))
        ours = [recipe.name for recipe in store.RECIPES if recipe.ours]
        # The login first, so that nobody waits for a build only to be refused.
        with (connect or _connect)(cloud) as crane:
            builder.ensure_built(report, [*store.needed_programs(ours), crane_program.PROGRAM])
            wanted = _wanted(cloud, store.ensure_built(report, ours), ours)
            decisions = publication.decide(crane, wanted, report)
            if dry_run:
                return decisions
            publication.carry_out(crane, decisions, report)
        digests = {each.wanted.name: each.digest for each in decisions}
        stack_files.write_value(project, stack, "image_digests", digests)
    return decisions


def pin(
    project: Path, name: str, report: Report = silent, connect: Connect | None = None
) -> dict[str, str]:
    """Write the digests that the environment's registry has now into the environment's config.

    Returns:
        Digest of each image, by its repository.

    Raises:
        Refused: the environment has no registry, it doesn't answer, or it lacks an image.
    """
    stack = StackName.parse(name).cloud
    with locks.held(stack_files.lock_file(project, stack), f"stack {stack}", "images pin"):
        cloud = _on_aws(read_environment(project, name))
        with (connect or _connect)(cloud) as crane:
            crane_program.ensure_built(report)
            digests = _digests(cloud, crane)
        stack_files.write_value(project, stack, "image_digests", digests)
    return digests


def _wanted(cloud: AwsCloudPlan, archives: Sequence[Archive], ours: Sequence[str]) -> list[Wanted]:
    upstream = pinned_images().model_dump()
    built = {upstream[each]: archive for each, archive in zip(ours, archives, strict=True)}
    return [
        Wanted(
            name=_short(each),
            target=_tagged(each),
            source=each.source,
            archive=built.get(each.source),
            pinned=each.image.partition("@")[2],
        )
        for each in cloud.repositories
    ]


def _digests(cloud: AwsCloudPlan, crane: Crane) -> dict[str, str]:
    found: dict[str, str] = {}
    missing = []
    try:
        for each in cloud.repositories:
            if digest := crane.digest(_tagged(each)):
                found[_short(each)] = digest
            else:
                missing.append(f"{each.name}:{version_of(each.image)}")
    except RegistryError as error:
        raise Refused(error.message, error.hint) from error
    if missing:
        raise Refused(
            f"the registry of {cloud.environment} has no {', '.join(missing)}",
            f"moltghost images publish {cloud.environment} copies and pushes what is missing",
        )
    return found


def _short(repository: RepositoryPlan) -> str:
    return repository.name.rpartition("/")[2]


def _tagged(repository: RepositoryPlan) -> str:
    return repository.image.partition("@")[0]


def _registry_plan(environment: EnvironmentConfig) -> AwsCloudPlan | None:
    """The plan of an environment that has a registry of its own."""
    cloud = plan_cloud(environment)
    return cloud if isinstance(cloud, AwsCloudPlan) else None


def _on_aws(environment: EnvironmentConfig) -> AwsCloudPlan:
    if cloud := _registry_plan(environment):
        return cloud
    raise Refused(
        f"environment {environment.name} has no registry: its images are archives on this "
        "machine, each named by what it was made from",
        "moltghost images list shows them; name an environment on AWS",
    )


@contextmanager
def _connect(cloud: AwsCloudPlan) -> Iterator[Crane]:
    scope = cloud.scope
    user, password = ecr.credentials(Clients(scope.region), scope.account_id)
    with docker_config({scope.registry.partition("/")[0]: Login(user, password)}) as folder:
        yield Crane(folder)


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
    shown = _upstreams(_short(repository), repository.image)
    return ImageStatus(**{**vars(shown), "stands_for": repository.source})
