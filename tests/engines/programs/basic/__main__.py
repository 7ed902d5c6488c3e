"""A namespace with what an agent has, in small; options come from the object ``spec``."""

import pulumi
import pulumi_kubernetes as k8s
import pulumi_random as random

config = pulumi.Config()
spec = config.require_object("spec")
name = spec["name"]

provider = k8s.Provider("cluster", kubeconfig=spec["kubeconfig"])


class Parts(pulumi.ComponentResource):
    """Everything inside the namespace."""

    def __init__(self, name: str) -> None:
        super().__init__(
            "test:index:Parts", name, None, pulumi.ResourceOptions(providers=[provider])
        )
        own = pulumi.ResourceOptions(parent=self)
        protected = pulumi.ResourceOptions(parent=self, protect=spec.get("protect", False))
        self.namespace = k8s.core.v1.Namespace(
            f"{name}-namespace",
            metadata={"name": name, "labels": {"test": "engine"}},
            opts=protected,
        )
        inside = self.namespace.metadata["name"]
        self.token = random.RandomPassword(
            f"{name}-token",
            length=32,
            special=False,
            keepers={"rotation": str(spec.get("rotation", 1))},
            opts=own,
        )
        self.secret = k8s.core.v1.Secret(
            f"{name}-secret",
            metadata={"name": f"token-{spec.get('rotation', 1)}", "namespace": inside},
            string_data={"token": self.token.result},
            opts=own,
        )
        self.settings = k8s.core.v1.ConfigMap(
            f"{name}-settings",
            metadata={"name": spec.get("settings_name", "settings"), "namespace": inside},
            data=spec.get("settings", {"a": "1"}),
            opts=own,
        )
        if spec.get("claim"):
            k8s.core.v1.PersistentVolumeClaim(
                f"{name}-claim",
                metadata={"name": "memory", "namespace": inside},
                spec={
                    "accessModes": ["ReadWriteOnce"],
                    "storageClassName": spec["claim"],
                    "resources": {"requests": {"storage": "1Gi"}},
                },
                opts=protected,
            )
        self.register_outputs({})


parts = Parts(name)
pulumi.export("namespace", parts.namespace.metadata["name"])
pulumi.export("token", parts.token.result)
pulumi.export("rotation", spec.get("rotation", 1))
