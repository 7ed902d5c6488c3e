"""Where data lies: keys, buckets, images, logs; and values that must not lie about."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

from .credentials import DETECTOR, decoded, has_credential, in_arguments, is_credential
from .nodes import LAUNCH_TEMPLATE, NODE_CLASS
from .pods import PODS, env_of, pods_of
from .reading import UNKNOWN, document, get, items, leaves, mapping
from .rule import ADVISORY, CRITICAL, HIGH, LOW, MEDIUM, Config, rule, stack_rule, texts
from .subject import Subject

_KEY = "aws:kms/key:Key"
_BUCKET = "aws:s3/bucket:Bucket"
_PUBLIC_BLOCK = "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock"
_ENCRYPTION = (
    "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration"
)
_REPOSITORY = "aws:ecr/repository:Repository"
_LOG_GROUP = "aws:cloudwatch/logGroup:LogGroup"
_FILE_SYSTEM = "aws:efs/fileSystem:FileSystem"
_CLAIM = "kubernetes:core/v1:PersistentVolumeClaim"
_SECRET = "kubernetes:core/v1:Secret"  # noqa: S105 a type, not a secret
_CONFIG_MAP = "kubernetes:core/v1:ConfigMap"
_BLOCKS = ("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets")
# A shorter value turns up elsewhere by chance.
_SHORTEST_SECRET = 12


@cache
def _taggable() -> tuple[str, ...]:
    file = Path(__file__).parent / "facts" / "taggable.json"
    return tuple(json.loads(file.read_text(encoding="utf-8"))["types"])


@rule(
    why="Without tags nobody can tell what an agent costs, or what may be deleted.",
    fix="set the tags, or defaultTags of the AWS provider; in a launch template also the "
    "tagSpecifications of instance and volume",
    severity=MEDIUM,
    types=(*_taggable(), NODE_CLASS),
    sources=("BP resource-tagging",),
    schema={"tags": texts(["moltghost.dev/environment"], "Tags that every resource must have.")},
)
def required_tags(subject: Subject, config: Config) -> Iterator[str]:
    """Everything that costs money in AWS says whom it belongs to."""
    defaults = document(document(get(subject.provider, "defaultTags")).get("tags"))
    own = mapping(subject.props, "spec.tags" if subject.type == NODE_CLASS else "tags")
    if missing := [name for name in config["tags"] if name not in {*defaults, *own}]:
        yield f"it lacks the tags {', '.join(missing)}"
    if subject.type == LAUNCH_TEMPLATE:
        # Its own tags, and the provider's default ones, don't reach what is launched from it.
        for kind in ("instance", "volume"):
            launched = _launched_tags(subject, kind)
            if missing := [name for name in config["tags"] if name not in launched]:
                yield f"its tagSpecifications give no {kind} the tags {', '.join(missing)}"


def _launched_tags(template: Subject, kind: str) -> set[str]:
    """Names of the tags that machines or their volumes get."""
    specified = items(template.props, "tagSpecifications")
    return {
        name
        for each in specified
        if get(each, "resourceType") == kind
        for name in mapping(each, "tags")
    }


@rule(
    why="A leaked key then opens a year's data, not all of it.",
    fix="set enableKeyRotation to true",
    severity=MEDIUM,
    types=(_KEY,),
    sources=("CKV_AWS_7", "AWS-0065"),
)
def kms_rotation(key: Subject, _config: Config) -> Iterator[str]:
    """KMS keys are rotated."""
    if get(key.props, "enableKeyRotation") is not True:
        yield "it is never rotated"


@stack_rule(
    why="They hold weights and agents' backups.",
    fix="give it a BucketPublicAccessBlock with all four switches on, and a "
    "BucketServerSideEncryptionConfiguration",
    severity=HIGH,
    types=(_BUCKET,),
    sources=("CKV_AWS_53", "CKV_AWS_19"),
)
def s3_private_encrypted(
    subjects: Sequence[Subject], _config: Config
) -> Iterator[tuple[Subject, str]]:
    """Buckets are closed to the public, and encrypted."""
    for bucket in (each for each in subjects if each.type == _BUCKET):
        about = [each for each in subjects if bucket.urn in each.needs]
        blocks = [each for each in about if each.type == _PUBLIC_BLOCK]
        if not blocks:
            yield bucket, "it has no BucketPublicAccessBlock"
        for block in blocks:
            if off := [name for name in _BLOCKS if get(block.props, name) is not True]:
                yield bucket, f"its BucketPublicAccessBlock leaves out {', '.join(off)}"
        if not any(each.type == _ENCRYPTION for each in about):
            yield bucket, "it has no BucketServerSideEncryptionConfiguration"


@rule(
    why="A moved tag puts another program into the next pod.",
    fix="set imageTagMutability to IMMUTABLE and scanOnPush to true",
    severity=MEDIUM,
    level=ADVISORY,
    types=(_REPOSITORY,),
    sources=("CKV_AWS_51", "CKV_AWS_163", "AWS-0030", "AWS-0031"),
)
def ecr_immutable_scanned(repository: Subject, _config: Config) -> Iterator[str]:
    """Images in a repository never change, and are scanned."""
    if get(repository.props, "imageTagMutability") != "IMMUTABLE":
        yield "its tags can be moved to other images"
    if get(repository.props, "imageScanningConfiguration.scanOnPush") is not True:
        yield "its images are not scanned when they are pushed"


@rule(
    why="Logs that are kept for ever cost for ever, and keep what should be forgotten.",
    fix="set retentionInDays",
    severity=LOW,
    level=ADVISORY,
    types=(_LOG_GROUP,),
    sources=("BP cloudwatch-log-retention", "CKV_AWS_338"),
)
def log_retention(group: Subject, _config: Config) -> Iterator[str]:
    """Logs are deleted after a while."""
    if not get(group.props, "retentionInDays", 0):
        yield "it keeps its logs for ever"


@rule(
    why="A renamed resource would otherwise delete the old one with its data.",
    fix="set the resource option protect",
    severity=HIGH,
    types=(_KEY, _BUCKET, _FILE_SYSTEM, _CLAIM),
)
def stateful_protected(subject: Subject, _config: Config) -> Iterator[str]:
    """What holds data is protected from deletion."""
    if not subject.protect:
        yield "Pulumi may delete it, and what is in it"


@rule(
    why="Whoever may read a Deployment, a ConfigMap or a machine's user data would read them.",
    fix="put the value into a Secret, and refer to it by secretKeyRef or as a mounted file",
    severity=HIGH,
    types=(*PODS, LAUNCH_TEMPLATE),
    sources=("CKV_K8S_35", "KSV-0109", "C-0012", DETECTOR),
)
def secrets_not_literal(subject: Subject, _config: Config) -> Iterator[str]:
    """Pods, ConfigMaps and machines' user data hold no credentials in plain text."""
    if subject.type == _CONFIG_MAP:
        yield from _in_config_map(subject)
    elif subject.type in (LAUNCH_TEMPLATE, NODE_CLASS):
        inside = "userData" if subject.type == LAUNCH_TEMPLATE else "spec.userData"
        given = str(get(subject.props, inside, ""))
        if has_credential(decoded(given) or given):
            yield f"{inside} holds what looks like a credential"
    for container in (each for pod in pods_of(subject) for each in pod.containers):
        for name, value in env_of(container).items():
            if is_credential(name, value) or has_credential(value):
                yield f"{container} has a credential as the literal value of {name}"
        for part in ("args", "command"):
            if in_arguments([str(each) for each in items(container.spec, part)]):
                yield f"{container} has what looks like a credential in its {part}"


def _in_config_map(subject: Subject) -> Iterator[str]:
    for part in ("data", "binaryData"):
        for leaf in leaves(mapping(subject.props, part)):
            if leaf.error:
                raise leaf.error
            text = str(leaf.value) if part == "data" else decoded(str(leaf.value))
            # A key with a dot is the name of a file.
            if has_credential(text) or ("." not in leaf.path and is_credential(leaf.path, text)):
                yield f"{part}.{leaf.path} holds what looks like a credential"


@stack_rule(
    why="A token that is copied into a config or an annotation is no secret any more.",
    fix="refer to the Secret instead of copying its value",
    severity=CRITICAL,
    types=("kubernetes:*",),
)
def secret_not_elsewhere(
    subjects: Sequence[Subject], _config: Config
) -> Iterator[tuple[Subject, str]]:
    """The value of a Secret is in no other object."""
    secrets = {value for each in subjects if each.type == _SECRET for value in _values(each)}
    undecided = None
    for subject in subjects:
        if not _may_not_hold_secrets(subject):
            continue
        for leaf in leaves(subject.props):
            if leaf.value is UNKNOWN:
                undecided = leaf.error
            elif isinstance(leaf.value, str) and any(each in leaf.value for each in secrets):
                yield subject, f"{leaf.path} holds the value of a Secret"
    if undecided:
        raise undecided


def _may_not_hold_secrets(subject: Subject) -> bool:
    """A Secret, and what generates its value, may; so may the provider that reads both."""
    package = subject.type.partition(":")[0]
    return subject.is_kubernetes and subject.type != _SECRET and package != "pulumi"


def _values(secret: Subject) -> Iterator[str]:
    """The known values of a Secret: text with an unknown one in it would be unknown as well."""
    for leaf in leaves(secret.props):
        if not isinstance(leaf.value, str):
            continue
        text = leaf.value if leaf.path.startswith("stringData") else decoded(leaf.value)
        inside = leaf.path.startswith(("stringData", "data"))
        if inside and len(text) >= _SHORTEST_SECRET:
            yield text
