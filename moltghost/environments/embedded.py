"""An environment in the embedded cluster, which we start, stop and remove.

What builds and runs that cluster is loaded when it is needed: most commands only ask it.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from moltghost import paths
from moltghost.engines.interface import Engine
from moltghost.environments.environment import Environment, Hints, TakenDown
from moltghost.errors import Refused
from moltghost.progress import Report
from moltghost.project import read_project
from moltghost.store_layout import bucket_name

if TYPE_CHECKING:
    from moltghost.weights_store.bucket import Bucket, BucketLocation


class EmbeddedEnvironment(Environment):
    """Stacks in the cluster on this machine."""

    @property
    def hints(self) -> Hints:
        """It is ours to start."""
        return Hints(
            absent=f"moltghost up {self.name}",
            not_let_in=f"check the credentials in {self.kubeconfig_path}; it has to let you get "
            "namespaces",
            unreachable=f"moltghost up {self.name} starts what isn't running",
        )

    def kubectl(self) -> Path | None:
        """The one that was built with the cluster."""
        from moltghost.local.build.programs import binary

        return binary("kubectl")

    def bucket(self) -> Bucket:
        """The environment's bucket in the cluster's own store.

        Raises:
            Refused: the cluster has never been started.
        """
        from moltghost.weights_store.bucket import Bucket

        return Bucket(self._location())

    def ensure_bucket(self) -> Bucket:
        """The bucket, made first: the store is ours.

        Raises:
            Refused: the cluster has never been started.
            Failed: the store doesn't answer.
        """
        from moltghost.local.cluster import weights_store

        weights_store.ensure_bucket(self._location())
        return self.bucket()

    def start(self, report: Report) -> None:
        """Start the cluster, with the machine's own node where the config has one.

        Raises:
            Refused: the machine can't have the cluster.
            Failed: a build failed, or a process did not become healthy.
        """
        from moltghost.environments.embedded_cluster import bring_up

        bring_up(report, machine=self.cloud.machine is not None)

    def require_started(self) -> None:
        """A preview of its stacks asks its cluster.

        Raises:
            Refused: it isn't running.
        """
        if not paths.kubeconfig().is_file():
            raise Refused(
                f"the cluster of environment {self.name} isn't running",
                "moltghost local up starts it",
            )

    def require_no_agents(self, engine: Engine) -> None:
        """The cluster goes whole, so that no stack of another project may be in it.

        Raises:
            Refused: there are agents or their data, or stacks of another project.
        """
        super().require_no_agents(engine)
        from moltghost.environments.embedded_cluster import recorded_stacks

        own = read_project(self.project).name
        others = [f"{stack} of {name}" for name, stack in recorded_stacks() if name != own]
        if others:
            raise Refused(
                f"the cluster of environment {self.name} still has stacks of other projects: "
                f"{', '.join(others)}",
                "moltghost agent destroy NAME --delete-data, in that project's folder, removes one",
            )

    def end(self) -> TakenDown:
        """The cluster goes with its environment, and the records of the stacks in it.

        Raises:
            Refused: a stack in it is being changed; nothing was removed.
        """
        from moltghost.environments.embedded_cluster import remove_cluster
        from moltghost.local.cluster.cluster import EmbeddedCluster

        return TakenDown(removed=tuple(remove_cluster(EmbeddedCluster())))

    def _location(self) -> BucketLocation:
        from moltghost.local.cluster import weights_store

        name = bucket_name(self.cloud.weights_store.url)
        return weights_store.location(paths.cluster_home(), name)
