"""The bucket of model stores: private, encrypted, versioned, and protected."""

from __future__ import annotations

from collections.abc import Sequence

import pulumi
import pulumi_aws as aws

from moltghost.components.aws.options import child_of
from moltghost.components.aws.role import Role
from moltghost.labels import WEIGHTS_ACCOUNT, WEIGHTS_NAMESPACE
from moltghost.planning.aws.cloud import AwsCloudPlan
from moltghost.planning.aws.storage import ABORTED_UPLOAD_DAYS, OLD_VERSION_DAYS


class WeightsStore(pulumi.ComponentResource):
    """Bucket, and the role of the jobs that fill it."""

    def __init__(
        self,
        name: str,
        plan: AwsCloudPlan,
        key: pulumi.Input[str],
        cluster_name: pulumi.Input[str],
        after: Sequence[pulumi.Resource],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("moltghost:aws:WeightsStore", name, None, opts)
        self.bucket = aws.s3.Bucket(
            "weights",
            bucket=plan.weights_bucket.bucket,
            force_destroy=False,
            tags=plan.tags,
            opts=child_of(self, protect=True),
        )
        # All that keeps the bucket as it is stays as long as it does.
        self._privacy(plan.weights_bucket.policy)
        self._encryption(key)
        self._versions()
        builder = Role("weights-builder-role", plan.weights_builder, plan.tags, child_of(self))
        aws.eks.PodIdentityAssociation(
            "weights-builder-identity",
            cluster_name=cluster_name,
            namespace=WEIGHTS_NAMESPACE,
            service_account=WEIGHTS_ACCOUNT,
            role_arn=builder.arn,
            tags=plan.tags,
            opts=child_of(self, after=[*after, *builder.ready]),
        )
        self.register_outputs({})

    def _privacy(self, policy: str) -> None:
        block = aws.s3.BucketPublicAccessBlock(
            "weights-private",
            bucket=self.bucket.id,
            block_public_acls=True,
            block_public_policy=True,
            ignore_public_acls=True,
            restrict_public_buckets=True,
            opts=child_of(self, protect=True),
        )
        aws.s3.BucketOwnershipControls(
            "weights-ownership",
            bucket=self.bucket.id,
            rule=aws.s3.BucketOwnershipControlsRuleArgs(object_ownership="BucketOwnerEnforced"),
            opts=child_of(self, protect=True),
        )
        aws.s3.BucketPolicy(
            "weights-policy",
            bucket=self.bucket.id,
            policy=policy,
            opts=child_of(self, after=[block], protect=True),
        )

    def _encryption(self, key: pulumi.Input[str]) -> None:
        aws.s3.BucketServerSideEncryptionConfiguration(
            "weights-encryption",
            bucket=self.bucket.id,
            rules=[
                aws.s3.BucketServerSideEncryptionConfigurationRuleArgs(
                    # One call to KMS for many objects instead of one for each.
                    bucket_key_enabled=True,
                    apply_server_side_encryption_by_default=aws.s3.BucketServerSideEncryptionConfigurationRuleApplyServerSideEncryptionByDefaultArgs(
                        sse_algorithm="aws:kms", kms_master_key_id=key
                    ),
                )
            ],
            opts=child_of(self, protect=True),
        )

    def _versions(self) -> None:
        versioning = aws.s3.BucketVersioning(
            "weights-versioning",
            bucket=self.bucket.id,
            versioning_configuration=aws.s3.BucketVersioningVersioningConfigurationArgs(
                status="Enabled"
            ),
            opts=child_of(self, protect=True),
        )
        aws.s3.BucketLifecycleConfiguration(
            "weights-lifecycle",
            bucket=self.bucket.id,
            rules=[
                aws.s3.BucketLifecycleConfigurationRuleArgs(
                    id="aborted-uploads",
                    status="Enabled",
                    filter=aws.s3.BucketLifecycleConfigurationRuleFilterArgs(prefix=""),
                    abort_incomplete_multipart_upload=aws.s3.BucketLifecycleConfigurationRuleAbortIncompleteMultipartUploadArgs(
                        days_after_initiation=ABORTED_UPLOAD_DAYS
                    ),
                ),
                aws.s3.BucketLifecycleConfigurationRuleArgs(
                    id="old-versions",
                    status="Enabled",
                    filter=aws.s3.BucketLifecycleConfigurationRuleFilterArgs(prefix=""),
                    noncurrent_version_expiration=aws.s3.BucketLifecycleConfigurationRuleNoncurrentVersionExpirationArgs(
                        noncurrent_days=OLD_VERSION_DAYS
                    ),
                ),
            ],
            opts=child_of(self, after=[versioning], protect=True),
        )
