"""The environment's own registry: isolated nodes pull from nowhere else."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pulumi
import pulumi_aws as aws

from moltghost.components.aws.options import child_of
from moltghost.planning.aws.storage import UNTAGGED_IMAGE_DAYS, RepositoryPlan

_LIFECYCLE = json.dumps(
    {
        "rules": [
            {
                "rulePriority": 1,
                "description": "layers that no tag names any more",
                "selection": {
                    "tagStatus": "untagged",
                    "countType": "sinceImagePushed",
                    "countUnit": "days",
                    "countNumber": UNTAGGED_IMAGE_DAYS,
                },
                "action": {"type": "expire"},
            }
        ]
    }
)


class Repositories(pulumi.ComponentResource):
    """Repositories whose tags never change and whose images are scanned.

    They are protected: a destroy would stop at the first that isn't empty.
    """

    def __init__(
        self,
        name: str,
        plans: Sequence[RepositoryPlan],
        key: pulumi.Input[str],
        tags: dict[str, str],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("moltghost:aws:Repositories", name, None, opts)
        for plan in plans:
            what = plan.name.rpartition("/")[2]
            repository = aws.ecr.Repository(
                f"repository-{what}",
                name=plan.name,
                image_tag_mutability="IMMUTABLE",
                image_scanning_configuration=aws.ecr.RepositoryImageScanningConfigurationArgs(
                    scan_on_push=True
                ),
                encryption_configurations=[
                    aws.ecr.RepositoryEncryptionConfigurationArgs(
                        encryption_type="KMS", kms_key=key
                    )
                ],
                tags=tags,
                opts=child_of(self, protect=True),
            )
            aws.ecr.LifecyclePolicy(
                f"repository-{what}-lifecycle",
                repository=repository.name,
                policy=_LIFECYCLE,
                opts=child_of(self, protect=True),
            )
        self.register_outputs({})
