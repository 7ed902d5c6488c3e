"""The model server of one agent: Ollama behind its gate, as one Deployment.

The order is Kubernetes' own: the init container ``weights`` copies and verifies, then the native
sidecars ``ollama`` and ``loader`` start one after the other (the loader's startup probe holds the
pod until the model is loaded and proven), then the main container ``gate`` opens the door. On
termination Kubernetes stops the gate first, so it finishes its streams while Ollama still serves.
"""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as k8s
from pulumi_kubernetes.apps import v1 as apps
from pulumi_kubernetes.core import v1 as core

from moltghost.components.gate import TOKEN_FILE, caddyfile
from moltghost.components.model_containers import (
    CUDA_CACHE,
    CUDA_CACHE_BYTES,
    init_containers,
    main_containers,
)
from moltghost.components.naming import NOT_AWAITED, content_name, seconds
from moltghost.components.pod_parts import pod_security, scratch, tolerations
from moltghost.labels import (
    AGENT_LABEL,
    CONTEXT_ANNOTATION,
    HOSTNAME_LABEL,
    MODEL_ANNOTATION,
    MODEL_SERVER,
    MOVE_LABEL,
    NAME_LABEL,
    NODE_USD_PER_HOUR_ANNOTATION,
    OWNER_LABEL,
    QUANTIZATION_ANNOTATION,
    SPEC_ANNOTATION,
    TOKEN_KEY,
    USD_PER_HOUR_ANNOTATION,
    selector,
)
from moltghost.planning.agent import AgentPlan
from moltghost.planning.model_server import GATE_PORT
from moltghost.units import MIB

_TMP_BYTES = 256 * MIB
_HOME_BYTES = 64 * MIB
# Earlier states that `agent history` lists and `agent rollback` goes back to: one ReplicaSet each.
HISTORY_LIMIT = 10


@dataclass(frozen=True, kw_only=True)
class ModelServerInputs:
    """What the model server needs from other resources."""

    gate_token: core.Secret
    namespace_ready: list[pulumi.Resource]


class ModelServer(pulumi.ComponentResource):
    """Deployment and Service ``model-server``, with the gate's config."""

    def __init__(
        self,
        name: str,
        plan: AgentPlan,
        inputs: ModelServerInputs,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("moltghost:agent:ModelServer", name, None, opts)
        self._plan, self._inputs = plan, inputs
        self._labels = selector(MODEL_SERVER, plan.agent)
        child = pulumi.ResourceOptions(parent=self, depends_on=inputs.namespace_ready)
        self._gate_config = self._config(child)
        self._disruption_budget(child)
        self.service = self._service(child)
        self.deployment = self._deployment(
            pulumi.ResourceOptions.merge(
                child,
                pulumi.ResourceOptions(
                    custom_timeouts=pulumi.CustomTimeouts(
                        create=seconds(self._rollout_seconds), update=seconds(self._rollout_seconds)
                    )
                ),
            )
        )
        self.register_outputs({})

    @property
    def _rollout_seconds(self) -> int:
        server = self._plan.model_server
        return server.rollout_budget_seconds + server.termination_grace_seconds

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
        content = caddyfile(self._plan.model_server)
        name = content_name("gate", content)
        return core.ConfigMap(
            name, metadata=self._meta(name), data={"Caddyfile": content}, immutable=True, opts=opts
        )

    def _service(self, opts: pulumi.ResourceOptions) -> core.Service:
        return core.Service(
            f"{MODEL_SERVER}-service",
            # It has endpoints only when the model is proven, which the Deployment waits for.
            metadata=self._meta(MODEL_SERVER, NOT_AWAITED),
            spec=core.ServiceSpecArgs(
                type="ClusterIP",
                selector=self._labels,
                ports=[
                    core.ServicePortArgs(
                        name="http", port=GATE_PORT, target_port="http", protocol="TCP"
                    )
                ],
            ),
            opts=opts,
        )

    def _disruption_budget(self, opts: pulumi.ResourceOptions) -> None:
        k8s.policy.v1.PodDisruptionBudget(
            f"{MODEL_SERVER}-budget",
            metadata=self._meta(MODEL_SERVER),
            spec=k8s.policy.v1.PodDisruptionBudgetSpecArgs(
                max_unavailable=0,
                selector=k8s.meta.v1.LabelSelectorArgs(match_labels=self._labels),
            ),
            opts=opts,
        )

    def _deployment(self, opts: pulumi.ResourceOptions) -> apps.Deployment:
        plan, server = self._plan, self._plan.model_server
        surge = apps.DeploymentStrategyArgs(
            type="RollingUpdate",
            rolling_update=apps.RollingUpdateDeploymentArgs(max_surge=1, max_unavailable=0),
        )
        strategies = {"surge": surge, "in-place": apps.DeploymentStrategyArgs(type="Recreate")}
        return apps.Deployment(
            MODEL_SERVER,
            metadata=self._meta(MODEL_SERVER, {**self._facts(), **self._stack_facts()}),
            spec=apps.DeploymentSpecArgs(
                replicas=server.replicas,
                revision_history_limit=HISTORY_LIMIT,
                progress_deadline_seconds=server.rollout_budget_seconds,
                strategy=strategies[plan.strategy],
                selector=k8s.meta.v1.LabelSelectorArgs(match_labels=self._labels),
                template=core.PodTemplateSpecArgs(
                    metadata=k8s.meta.v1.ObjectMetaArgs(
                        labels={**plan.labels, **self._labels, MOVE_LABEL: str(server.moves)},
                        annotations={**self._facts(), **server.scheduling.annotations},
                    ),
                    spec=self._pod(),
                ),
            ),
            opts=opts,
        )

    def _facts(self) -> dict[str, str]:
        """What a pod runs; `moltghost agent list` reads it back."""
        server = self._plan.model_server
        return {
            MODEL_ANNOTATION: server.model,
            QUANTIZATION_ANNOTATION: server.quantization,
            CONTEXT_ANNOTATION: str(server.context),
        }

    def _stack_facts(self) -> dict[str, str]:
        """What concerns the agent, not its pods: a new price list must not restart them."""
        placement = self._plan.sizing.placement
        return {
            SPEC_ANNOTATION: self._plan.spec,
            USD_PER_HOUR_ANNOTATION: format(placement.usd_per_hour.normalize(), "f"),
            NODE_USD_PER_HOUR_ANNOTATION: format(placement.node_usd_per_hour.normalize(), "f"),
        }

    def _pod(self) -> core.PodSpecArgs:
        plan, server = self._plan, self._plan.model_server
        return core.PodSpecArgs(
            service_account_name=MODEL_SERVER,
            automount_service_account_token=False,
            enable_service_links=False,
            priority_class_name=plan.priority_class,
            security_context=pod_security(),
            termination_grace_period_seconds=server.termination_grace_seconds,
            node_selector=server.scheduling.node_selector,
            tolerations=tolerations(server.scheduling.tolerations) or None,
            runtime_class_name=server.scheduling.runtime_class,
            affinity=self._affinity(),
            init_containers=init_containers(plan),
            containers=main_containers(plan),
            volumes=[
                scratch("models", server.weights_bytes),
                scratch("home", _HOME_BYTES),
                *([scratch(CUDA_CACHE, CUDA_CACHE_BYTES)] if server.gpu_count else []),
                scratch("tmp", _TMP_BYTES),
                core.VolumeArgs(
                    name="gate-config",
                    config_map=core.ConfigMapVolumeSourceArgs(name=self._gate_config.metadata.name),
                ),
                core.VolumeArgs(
                    name="gate-token",
                    secret=core.SecretVolumeSourceArgs(
                        secret_name=self._inputs.gate_token.metadata.name,
                        default_mode=0o440,
                        items=[
                            core.KeyToPathArgs(key=TOKEN_KEY, path=TOKEN_FILE.rpartition("/")[2])
                        ],
                    ),
                ),
            ],
        )

    def _affinity(self) -> core.AffinityArgs:
        """Keep off nodes with others' model servers; prefer one that one's own owner pays for."""
        key = {"dedicated": AGENT_LABEL, "owner": OWNER_LABEL}[self._plan.sharing]
        keep_off = [self._model_servers(key, "NotIn")]
        if self._plan.model_server.fresh_node:
            keep_off.append(self._before_the_move())
        return core.AffinityArgs(
            pod_anti_affinity=core.PodAntiAffinityArgs(
                required_during_scheduling_ignored_during_execution=keep_off
            ),
            pod_affinity=core.PodAffinityArgs(
                preferred_during_scheduling_ignored_during_execution=[
                    core.WeightedPodAffinityTermArgs(
                        weight=100, pod_affinity_term=self._model_servers(key, "In")
                    )
                ]
            ),
        )

    def _before_the_move(self) -> core.PodAffinityTermArgs:
        """The agent's own model servers that an `agent move` leaves behind."""
        return core.PodAffinityTermArgs(
            topology_key=HOSTNAME_LABEL,
            label_selector=k8s.meta.v1.LabelSelectorArgs(
                match_labels=self._labels,
                match_expressions=[
                    k8s.meta.v1.LabelSelectorRequirementArgs(
                        key=MOVE_LABEL,
                        operator="NotIn",
                        values=[str(self._plan.model_server.moves)],
                    )
                ],
            ),
        )

    def _model_servers(self, key: str, operator: str) -> core.PodAffinityTermArgs:
        """Model servers of any namespace whose ``key`` is (not) this agent's."""
        return core.PodAffinityTermArgs(
            topology_key=HOSTNAME_LABEL,
            namespace_selector=k8s.meta.v1.LabelSelectorArgs(),
            label_selector=k8s.meta.v1.LabelSelectorArgs(
                match_labels={NAME_LABEL: MODEL_SERVER},
                match_expressions=[
                    k8s.meta.v1.LabelSelectorRequirementArgs(
                        key=key, operator=operator, values=[self._plan.labels[key]]
                    )
                ],
            ),
        )
