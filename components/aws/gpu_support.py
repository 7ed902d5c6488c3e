"""What makes GPUs usable and visible: NVIDIA's device plugin and DCGM exporter.

Plain objects instead of charts, so that policies see them. Both need the kubelet's sockets, hence
a namespace of their own that allows host paths.
"""

from __future__ import annotations

import pulumi
import pulumi_kubernetes as k8s
from pulumi_kubernetes.apps import v1 as apps
from pulumi_kubernetes.core import v1 as core

from moltghost.components.aws.options import child_of
from moltghost.labels import GPU_RESOURCE, NAME_LABEL, SYSTEM_NAMESPACE
from moltghost.planning.aws.flows import DCGM_PORT
from moltghost.planning.pools import GPU_TAINT_VALUE, gpu_labels

_DEVICE_PLUGINS = "/var/lib/kubelet/device-plugins"
_POD_RESOURCES = "/var/lib/kubelet/pod-resources"
# Logs are all that these write; the disk of a node belongs to its agent's weights.
_LOGS_REQUEST, _LOGS_LIMIT = "64Mi", "512Mi"
_DCGM_START_SECONDS = 45  # of the exporter's own chart


class GpuSupport(pulumi.ComponentResource):
    """Daemon sets on every node with GPUs, and their namespace."""

    def __init__(
        self,
        name: str,
        device_plugin_image: str,
        dcgm_image: str,
        labels: dict[str, str],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("moltghost:aws:GpuSupport", name, None, opts)
        self._labels = labels
        self.namespace = core.Namespace(
            "system-namespace",
            metadata=k8s.meta.v1.ObjectMetaArgs(
                name=SYSTEM_NAMESPACE,
                labels={
                    **labels,
                    **{
                        f"pod-security.kubernetes.io/{mode}": "privileged"
                        for mode in ("enforce", "audit", "warn")
                    },
                },
            ),
            opts=child_of(self),
        )
        self._account = core.ServiceAccount(
            "gpu-support-account",
            metadata=self._meta("gpu-support"),
            automount_service_account_token=False,
            opts=child_of(self, after=[self.namespace]),
        )
        self._daemon_set(
            "nvidia-device-plugin",
            core.ContainerArgs(
                name="plugin",
                image=device_plugin_image,
                # A node whose GPUs can't be used must not look healthy.
                env=[_env("FAIL_ON_INIT_ERROR", "true"), _env("PASS_DEVICE_SPECS", "false")],
                security_context=_security(add=[]),
                resources=_resources("50m", "128Mi"),
                volume_mounts=[
                    core.VolumeMountArgs(name="device-plugins", mount_path=_DEVICE_PLUGINS)
                ],
            ),
            _host_path("device-plugins", _DEVICE_PLUGINS),
        )
        self._daemon_set(
            "dcgm-exporter",
            core.ContainerArgs(
                name="exporter",
                image=dcgm_image,
                env=[
                    _env("DCGM_EXPORTER_KUBERNETES", "true"),
                    _env("DCGM_EXPORTER_LISTEN", f":{DCGM_PORT}"),
                    # All GPUs, without asking the device plugin for one.
                    _env("NVIDIA_VISIBLE_DEVICES", "all"),
                ],
                ports=[core.ContainerPortArgs(name="metrics", container_port=DCGM_PORT)],
                liveness_probe=_probe(delay_seconds=_DCGM_START_SECONDS),
                readiness_probe=_probe(delay_seconds=_DCGM_START_SECONDS),
                # Profiling counters of the card need it.
                security_context=_security(add=["SYS_ADMIN"]),
                resources=_resources("100m", "512Mi"),
                volume_mounts=[
                    core.VolumeMountArgs(
                        name="pod-resources", mount_path=_POD_RESOURCES, read_only=True
                    )
                ],
            ),
            _host_path("pod-resources", _POD_RESOURCES),
        )
        self.register_outputs({})

    def _meta(self, name: str) -> k8s.meta.v1.ObjectMetaArgs:
        return k8s.meta.v1.ObjectMetaArgs(
            name=name, namespace=SYSTEM_NAMESPACE, labels={**self._labels, **_selector(name)}
        )

    def _daemon_set(
        self, name: str, container: core.ContainerArgs, volume: core.VolumeArgs
    ) -> None:
        apps.DaemonSet(
            name,
            metadata=self._meta(name),
            spec=apps.DaemonSetSpecArgs(
                selector=k8s.meta.v1.LabelSelectorArgs(match_labels=_selector(name)),
                update_strategy=apps.DaemonSetUpdateStrategyArgs(type="RollingUpdate"),
                template=core.PodTemplateSpecArgs(
                    metadata=k8s.meta.v1.ObjectMetaArgs(labels={**self._labels, **_selector(name)}),
                    spec=core.PodSpecArgs(
                        service_account_name="gpu-support",
                        automount_service_account_token=False,
                        enable_service_links=False,
                        priority_class_name="system-node-critical",
                        node_selector=gpu_labels(),
                        tolerations=[
                            core.TolerationArgs(
                                key=GPU_RESOURCE,
                                operator="Equal",
                                value=GPU_TAINT_VALUE,
                                effect="NoSchedule",
                            )
                        ],
                        security_context=core.PodSecurityContextArgs(
                            seccomp_profile=core.SeccompProfileArgs(type="RuntimeDefault")
                        ),
                        containers=[container],
                        volumes=[volume],
                    ),
                ),
            ),
            # Without a node there is no pod; an `up` must not wait for one.
            opts=child_of(self, after=[self._account]),
        )


def _selector(name: str) -> dict[str, str]:
    return {NAME_LABEL: name}


def _probe(delay_seconds: int) -> core.ProbeArgs:
    return core.ProbeArgs(
        http_get=core.HTTPGetActionArgs(path="/health", port="metrics"),
        initial_delay_seconds=delay_seconds,
    )


def _env(name: str, value: str) -> core.EnvVarArgs:
    return core.EnvVarArgs(name=name, value=value)


def _security(add: list[str]) -> core.SecurityContextArgs:
    """Root, because the kubelet's sockets are root's; nothing else that can be left out."""
    return core.SecurityContextArgs(
        run_as_user=0,
        allow_privilege_escalation=False,
        read_only_root_filesystem=not add,
        capabilities=core.CapabilitiesArgs(drop=["ALL"], add=add or None),
    )


def _resources(cpu: str, memory: str) -> core.ResourceRequirementsArgs:
    return core.ResourceRequirementsArgs(
        requests={"cpu": cpu, "memory": memory, "ephemeral-storage": _LOGS_REQUEST},
        limits={"memory": memory, "ephemeral-storage": _LOGS_LIMIT},
    )


def _host_path(name: str, path: str) -> core.VolumeArgs:
    return core.VolumeArgs(
        name=name, host_path=core.HostPathVolumeSourceArgs(path=path, type="Directory")
    )
