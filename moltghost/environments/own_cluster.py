"""An environment in a cluster that the user brought, with simulated nodes as in the embedded one.

It is the config of the embedded provider with a kubeconfig: neither started nor stopped by us, and
without a weights store that this machine reaches.
"""

from __future__ import annotations

from typing import NoReturn

from moltghost.engines.interface import Engine
from moltghost.environments.environment import Environment, Hints
from moltghost.errors import Refused


class OwnClusterEnvironment(Environment):
    """Stacks in a cluster of the user's."""

    @property
    def hints(self) -> Hints:
        """The cluster and its kubeconfig are the user's."""
        return Hints(
            absent=f"create the file, or name another in Pulumi.{self.name}.yaml",
            not_let_in=f"check the credentials in {self.kubeconfig_path}; it has to let you get "
            "namespaces",
            unreachable="is the machine on the network that reaches it?",
        )

    def require_no_agents(self, engine: Engine) -> None:
        """The cluster is asked too: its agents may be another machine's or project's.

        Raises:
            Refused: agents or their data are there, or the cluster can't be asked.
        """
        super().require_no_agents(engine)
        self._require_no_agents_in_cluster()

    def bucket(self) -> NoReturn:
        """Refused: what that cluster stores weights in isn't known here."""
        raise Refused(
            f"environment {self.name} has no weights store that this command reaches: its "
            "cluster is one that you brought",
            "use the embedded cluster (no kubeconfig in its stack file) or an AWS environment",
        )
