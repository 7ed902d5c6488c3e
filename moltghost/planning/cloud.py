"""The plan of an environment's cloud layer: here, and nowhere else, the provider is asked for."""

from __future__ import annotations

from moltghost.config import AwsCloudSpec, EnvironmentConfig
from moltghost.planning.embedded import plan_embedded_cloud
from moltghost.planning.environment import CloudPlan


def plan_cloud(environment: EnvironmentConfig) -> CloudPlan:
    """Decide the cloud layer of an environment.

    Raises:
        Refused: on AWS, a version or type isn't one that this can do.
    """
    if isinstance(environment.cloud, AwsCloudSpec):
        # Every command asks for the plan of its environment; AWS's facts take long to read.
        from moltghost.planning.aws.cloud import plan_aws_cloud

        return plan_aws_cloud(environment.name, environment.cloud)
    return plan_embedded_cloud(environment.name, environment.cloud)
