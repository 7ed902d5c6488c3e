"""The runtime of one agent: OpenClaw with its memory on a protected volume."""

from __future__ import annotations

import json
from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as k8s
from pulumi_kubernetes.apps import v1 as apps
from pulumi_kubernetes.core import v1 as core

from moltghost.components.naming import NOT_AWAITED, content_name
from moltghost.components.pod_parts import (
    PROBE_PERIOD_SECONDS,
    container_security,
    env,
    mount,
    pod_security,
    resources,
    scratch,
    tolerations,
)
from moltghost.labels import (
    GATEWAY_TOKEN_VARIABLE,
    OPENCLAW_CONTAINER,
    RUNTIME,
    TOKEN_KEY,
    selector,
)
from moltghost.planning.agent import AgentPlan

STATE_DIR = "/home/node/.openclaw"
_CONFIG_DIR = "/etc/openclaw"


@dataclass(frozen=True, kw_only=True)
class RuntimeInputs:
    """What the runtime needs from other resources."""

    gate_token: core.Secret
    gateway_token: core.Secret
    namespace: core.Namespace
    namespace_ready: list[pulumi.Resource]


class Runtime(pulumi.ComponentResource):
    """Deployment and Service ``runtime``; one replica, because OpenClaw's state has one owner."""

    def __init__(
        self,
        name: str,
        plan: AgentPlan,
        inputs: RuntimeInputs,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("moltghost:agent:Runtime", name, None, opts)
        self._plan, self._inputs = plan, inputs
        self._labels = selector(RUNTIME, plan.agent)
        child = pulumi.ResourceOptions(parent=self, depends_on=inputs.namespace_ready)
        self._config_map = self._config(child)
        self.volume = self._volume()
        self._service(child)
        self.deployment = self._deployment(child)
        self.register_outputs({})

    def _meta(
        self, name: str, annotations: dict[str, str] | None = None
    ) -> k8s.meta.v1.ObjectMetaArgs:
        return k8s.meta.v1.ObjectMetaArgs(
            name=name,
            namespace=self._plan.namespace,
            labels={**self._plan.labels, **self._labels},
            annotations=annotations,
        )

    def _config(self, opts: pulumi.ResourceOptions) -> core.ConfigMap:
        content = json.dumps(self._plan.runtime.config, indent=2)
        name = content_name("openclaw", content)
        return core.ConfigMap(
            name,
            metadata=self._meta(name),
            data={"openclaw.json": content},
            immutable=True,
            opts=opts,
        )

    def _volume(self) -> core.PersistentVolumeClaim:
        return core.PersistentVolumeClaim(
            "state",
            metadata=self._meta("runtime-state"),
            spec=core.PersistentVolumeClaimSpecArgs(
                access_modes=["ReadWriteOnce"],
                storage_class_name=self._plan.storage_class,
                resources=core.VolumeResourceRequirementsArgs(
                    requests={"storage": str(self._plan.runtime.volume_bytes)}
                ),
            ),
            # It needs the namespace and nothing else: what a protected resource needs stays too.
            opts=pulumi.ResourceOptions(
                parent=self, protect=True, depends_on=[self._inputs.namespace]
            ),
        )

    def _service(self, opts: pulumi.ResourceOptions) -> core.Service:
        return core.Service(
            f"{RUNTIME}-service",
            # Endpoints come with the pod, which the Deployment waits for; a paused agent has none.
            metadata=self._meta(RUNTIME, NOT_AWAITED),
            spec=core.ServiceSpecArgs(
                type="ClusterIP",
                selector=self._labels,
                ports=[
                    core.ServicePortArgs(
                        name="http",
                        port=self._plan.runtime.port,
                        target_port="http",
                        protocol="TCP",
                    )
                ],
            ),
            opts=opts,
        )

    def _deployment(self, opts: pulumi.ResourceOptions) -> apps.Deployment:
        plan = self._plan
        return apps.Deployment(
            RUNTIME,
            metadata=self._meta(RUNTIME),
            spec=apps.DeploymentSpecArgs(
                replicas=plan.runtime.replicas,
                revision_history_limit=3,
                strategy=apps.DeploymentStrategyArgs(type="Recreate"),
                selector=k8s.meta.v1.LabelSelectorArgs(match_labels=self._labels),
                template=core.PodTemplateSpecArgs(
                    metadata=k8s.meta.v1.ObjectMetaArgs(
                        labels={**plan.labels, **self._labels},
                        annotations=plan.runtime.scheduling.annotations,
                    ),
                    spec=core.PodSpecArgs(
                        service_account_name=RUNTIME,
                        automount_service_account_token=False,
                        enable_service_links=False,
                        priority_class_name=plan.priority_class,
                        security_context=pod_security(),
                        termination_grace_period_seconds=plan.runtime.termination_grace_seconds,
                        node_selector=plan.runtime.scheduling.node_selector,
                        tolerations=tolerations(plan.runtime.scheduling.tolerations) or None,
                        runtime_class_name=plan.runtime.scheduling.runtime_class,
                        containers=[self._openclaw()],
                        volumes=self._volumes(),
                    ),
                ),
            ),
            opts=opts,
        )

    def _volumes(self) -> list[core.VolumeArgs]:
        return [
            core.VolumeArgs(
                name="state",
                persistent_volume_claim=core.PersistentVolumeClaimVolumeSourceArgs(
                    claim_name=self.volume.metadata.name
                ),
            ),
            core.VolumeArgs(
                name="config",
                config_map=core.ConfigMapVolumeSourceArgs(name=self._config_map.metadata.name),
            ),
            scratch("tmp", self._plan.runtime.scratch_bytes),
        ]

    def _openclaw(self) -> core.ContainerArgs:
        runtime = self._plan.runtime
        return core.ContainerArgs(
            name=OPENCLAW_CONTAINER,
            image=self._plan.images.openclaw,
            args=["node", "dist/index.js", "gateway", "--bind", "lan", "--port", str(runtime.port)],
            env=self._environment(),
            security_context=container_security(),
            resources=resources(runtime.share),
            ports=[
                core.ContainerPortArgs(name="http", container_port=runtime.port, protocol="TCP")
            ],
            startup_probe=_probe("/startupz", runtime.startup_budget_seconds),
            readiness_probe=_probe("/startupz", 3 * PROBE_PERIOD_SECONDS),
            liveness_probe=_probe("/healthz", 12 * PROBE_PERIOD_SECONDS),
            lifecycle=core.LifecycleArgs(
                pre_stop=core.LifecycleHandlerArgs(
                    sleep=core.SleepActionArgs(seconds=runtime.drain_seconds)
                )
            ),
            volume_mounts=[
                mount("state", STATE_DIR),
                mount("config", _CONFIG_DIR, read_only=True),
                mount("tmp", "/tmp"),  # noqa: S108 in the container
            ],
        )

    def _environment(self) -> list[core.EnvVarArgs]:
        plain = {
            "HOME": "/home/node",
            "NODE_ENV": "production",
            "NODE_OPTIONS": f"--max-old-space-size={self._plan.runtime.node_heap_mib}",
            "OPENCLAW_STATE_DIR": STATE_DIR,
            "OPENCLAW_CONFIG_PATH": f"{_CONFIG_DIR}/openclaw.json",
            "OPENCLAW_CONFIG_READONLY": "1",
            # Without it, start-up dies: the fallback lies on the read-only root.
            "XDG_CACHE_HOME": f"{STATE_DIR}/cache",
            "OPENCLAW_NO_RESPAWN": "1",
            "OPENCLAW_NO_AUTO_UPDATE": "1",
            "OPENCLAW_DISABLE_BONJOUR": "1",
            "OPENCLAW_SKIP_CHANNELS": "1",
            "OPENCLAW_OFFLINE": "1",
            "DO_NOT_TRACK": "1",
        }
        secret = {
            GATEWAY_TOKEN_VARIABLE: self._inputs.gateway_token,
            "MODEL_SERVER_TOKEN": self._inputs.gate_token,
        }
        return [
            *env(plain),
            *(
                core.EnvVarArgs(
                    name=name,
                    value_from=core.EnvVarSourceArgs(
                        secret_key_ref=core.SecretKeySelectorArgs(
                            name=token.metadata.name, key=TOKEN_KEY
                        )
                    ),
                )
                for name, token in secret.items()
            ),
        ]


def _probe(path: str, budget_seconds: int) -> core.ProbeArgs:
    return core.ProbeArgs(
        http_get=core.HTTPGetActionArgs(path=path, port="http"),
        period_seconds=PROBE_PERIOD_SECONDS,
        timeout_seconds=PROBE_PERIOD_SECONDS,
        failure_threshold=max(1, -(-budget_seconds // PROBE_PERIOD_SECONDS)),
    )
