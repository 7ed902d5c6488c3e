"""Node images (AMI) by their SSM parameter, and container images in ECR."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from moltghost.aws.preflight.probe import Context, Probe, guarded
from moltghost.aws_errors import error_code
from moltghost.checks import Check, blocker, ok, warning

if TYPE_CHECKING:
    from mypy_boto3_ecr.type_defs import ImageIdentifierTypeDef

_AMI_PERMISSIONS = ("ssm:GetParameter", "ec2:DescribeImages")
_ECR_PERMISSIONS = ("ecr:DescribeImages",)
_DEPRECATED_SOON = timedelta(days=30)
_ECR_IMAGE = re.compile(
    r"(?P<registry>\d{12})\.dkr\.ecr\.(?P<region>[a-z0-9-]+)\.amazonaws\.com(\.cn)?/"
    r"(?P<repository>[^:@]+)(:(?P<tag>[^@]+))?(@(?P<digest>sha256:[0-9a-f]{64}))?"
)


def _amis(context: Context) -> Sequence[Check]:
    parameters = context.request.ami_parameters
    if not parameters:
        return [ok("ami", "the plan pins no node image")]
    return [
        guarded(f"ami.{_short(each)}", _AMI_PERMISSIONS, partial(_ami, context, each))
        for each in parameters
    ]


def _short(parameter: str) -> str:
    """The release in the parameter's name, which ends in ``/<release>/image_id``."""
    return parameter.removesuffix("/image_id").rpartition("/")[2].removeprefix("amazon-eks-node-")


def _ami(context: Context, parameter: str) -> Check:
    name, region = f"ami.{_short(parameter)}", context.request.region
    choose = (
        "pin a release that is there: aws ssm get-parameters-by-path --recursive "
        f"--path {parameter.rsplit('/', 2)[0]} --region {region} --query 'Parameters[].Name'"
    )
    try:
        image = context.clients.ssm().get_parameter(Name=parameter)["Parameter"].get("Value", "")
    except ClientError as error:
        if error_code(error) != "ParameterNotFound":
            raise
        return blocker(name, f"{region} has no node image {parameter}", choose)
    return _image_state(context, name, image, choose)


def _image_state(context: Context, name: str, image: str, choose: str) -> Check:
    try:
        found = context.clients.ec2().describe_images(ImageIds=[image], IncludeDeprecated=True)
    except ClientError as error:
        if not error_code(error).startswith("InvalidAMIID"):
            raise
        return blocker(name, f"{image} is gone", choose)
    if not found["Images"] or found["Images"][0].get("State") != "available":
        return blocker(name, f"{image} is not available", choose)
    end = found["Images"][0].get("DeprecationTime")
    if end and datetime.fromisoformat(end) - context.now < _DEPRECATED_SOON:
        return warning(name, f"{image} is deprecated from {end[:10]}", choose)
    return ok(name, f"{image} is available")


def _images(context: Context) -> Sequence[Check]:
    images = [(each, match) for each in context.request.images if (match := _parse(each))]
    if not images:
        return [ok("image", "the plan takes no image from ECR")]
    return [
        guarded(_image_check(match), _ECR_PERMISSIONS, partial(_image, context, each, match))
        for each, match in images
    ]


def _parse(image: str) -> re.Match[str] | None:
    return _ECR_IMAGE.fullmatch(image)


def _image_check(parts: re.Match[str]) -> str:
    return f"image.{parts['repository'].rpartition('/')[2]}"


def _image(context: Context, image: str, parts: re.Match[str]) -> Check:
    name = _image_check(parts)
    identifier: ImageIdentifierTypeDef = (
        {"imageDigest": parts["digest"]}
        if parts["digest"]
        else {"imageTag": parts["tag"] or "latest"}
    )
    try:
        context.clients.ecr(parts["region"]).describe_images(
            registryId=parts["registry"],
            repositoryName=parts["repository"],
            imageIds=[identifier],
        )
    except ClientError as error:
        if error_code(error) not in {"ImageNotFoundException", "RepositoryNotFoundException"}:
            raise
        # Before the first `up` there is no repository to push to; agents need the image.
        report = warning if context.request.scope == "environment" else blocker
        remedy = f"moltghost images publish {context.request.environment} brings it there"
        return report(name, f"ECR has no {image}", remedy)
    return ok(name, f"{image.partition('/')[2]} is there")


AMIS = Probe("ami", _AMI_PERMISSIONS, _amis)
IMAGES = Probe("image", _ECR_PERMISSIONS, _images)
