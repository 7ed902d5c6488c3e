"""Registers whatever objects ``spec`` lists, so that a test can say its program as data.

``spec``: ``kubeconfig``, ``objects`` (``name``, ``body``, options ``protect``, ``retain``,
``ignore``, ``needs`` (names), ``seconds`` (timeout), ``alias``), ``password`` (name of a random
password that
objects may use as ``{{password}}``), ``reads`` (stacks to export the outputs of), ``fail``.
"""

from typing import Any

import pulumi
import pulumi_kubernetes as k8s
import pulumi_random as random

spec = pulumi.Config().require_object("spec")
# What the embedded engine does anyway: the data of ConfigMaps and Secrets is changed in place, and
# what somebody changed by hand is set right.
provider = k8s.Provider(
    "cluster",
    kubeconfig=spec["kubeconfig"],
    enable_config_map_mutable=True,
    enable_secret_mutable=True,
    enable_patch_force=True,
)
made: dict[str, pulumi.CustomResource] = {}
password = None
if spec.get("password"):
    password = random.RandomPassword(spec["password"], length=24, special=False)


def filled(value: Any) -> Any:
    """The value with the password in place of its name."""
    if value == "{{password}}":
        return password.result
    if isinstance(value, dict):
        return {key: filled(item) for key, item in value.items()}
    return [filled(item) for item in value] if isinstance(value, list) else value


def options(item: dict[str, Any]) -> pulumi.ResourceOptions:
    """The resource options of one item."""
    seconds = item.get("seconds")
    return pulumi.ResourceOptions(
        provider=provider,
        protect=item.get("protect", False),
        retain_on_delete=item.get("retain", False),
        ignore_changes=item.get("ignore"),
        aliases=[pulumi.Alias(name=item["alias"])] if "alias" in item else None,
        depends_on=[made[name] for name in item.get("needs", [])],
        custom_timeouts=pulumi.CustomTimeouts(create=seconds, update=seconds, delete=seconds)
        if seconds
        else None,
    )


for item in spec.get("objects", []):
    body = item["body"]
    module = body["apiVersion"] if "/" in body["apiVersion"] else f"core/{body['apiVersion']}"
    made[item["name"]] = pulumi.CustomResource(
        f"kubernetes:{module}:{body['kind']}", item["name"], filled(body), options(item)
    )

for stack in spec.get("reads", []):
    reference = pulumi.StackReference(f"organization/moltghost/{stack}")
    pulumi.export(f"{stack}.password", reference.get_output("password"))
    pulumi.export(f"{stack}.plain", reference.get_output("plain"))

if spec.get("fail"):
    raise RuntimeError(spec["fail"])
if password:
    pulumi.export("password", password.result)
pulumi.export("plain", "plain text")
