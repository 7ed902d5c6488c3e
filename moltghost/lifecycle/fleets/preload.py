"""What the server that a fleet's workers are forked from imports once, for all of them.

``pulumi_kubernetes`` loads a module when something in it is touched, which takes longer than the
rest of a change without a wait. The program and its policies aren't here: they are the project's.
"""

from __future__ import annotations

import pulumi_kubernetes
import pulumi_random

from moltghost.engines.embedded import engine
from moltghost.lifecycle.fleets import worker
from moltghost.policy import gate

LOADED = (
    engine,
    worker,
    gate,
    pulumi_kubernetes.admissionregistration.v1.ValidatingAdmissionPolicy,
    pulumi_kubernetes.apps.v1.Deployment,
    pulumi_kubernetes.core.v1.Namespace,
    pulumi_kubernetes.meta.v1.ObjectMetaArgs,
    pulumi_kubernetes.networking.v1.NetworkPolicy,
    pulumi_kubernetes.policy.v1.PodDisruptionBudget,
    pulumi_random.RandomPassword,
)
