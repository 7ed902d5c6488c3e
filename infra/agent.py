"""One agent: its namespace with walls, its model server and its runtime."""

from __future__ import annotations

import pulumi

from moltghost.components.agent_namespace import AgentNamespace
from moltghost.components.agent_tokens import AgentTokens
from moltghost.components.model_server import ModelServer, ModelServerInputs
from moltghost.components.runtime import Runtime, RuntimeInputs
from moltghost.config import StackName
from moltghost.infra.layers import cluster_provider, output_of
from moltghost.ownership import EngineName
from moltghost.planning.agent import AgentPlan


def declare_agent(plan: AgentPlan, engine: EngineName) -> None:
    """Declare everything that one agent has; ``engine`` is the one that runs the program."""
    # The platform's stack, not the cloud's: an agent needs the pools to be there.
    kubeconfig = output_of(StackName(plan.environment, "platform"), "kubeconfig")
    cluster = cluster_provider(kubeconfig)
    opts = pulumi.ResourceOptions(provider=cluster)
    space = AgentNamespace("agent", plan, engine, opts)
    server_ready = list(space.ready)
    before_tokens: list[pulumi.Resource] = [space.namespace]
    if plan.aws:
        # Loading AWS's SDK takes a second that no other environment has to wait for.
        from moltghost.infra.aws_agent import declare_deployers, declare_identity

        server_ready += declare_identity(plan, plan.aws, space.ready, cluster)
        before_tokens.append(declare_deployers(plan, space.namespace, cluster))
    inside = pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(depends_on=before_tokens))
    tokens = AgentTokens("tokens", plan, inside)
    ModelServer(
        "model-server",
        plan,
        ModelServerInputs(gate_token=tokens.gate, namespace_ready=server_ready),
        opts,
    )
    Runtime(
        "runtime",
        plan,
        RuntimeInputs(
            gate_token=tokens.gate,
            gateway_token=tokens.gateway,
            namespace=space.namespace,
            namespace_ready=space.ready,
        ),
        opts,
    )
    placement = plan.sizing.placement
    pulumi.export("namespace", plan.namespace)
    pulumi.export("model", f"{plan.model_server.model} {plan.model_server.quantization}")
    pulumi.export("instance_type", placement.instance_type)
    pulumi.export("usd_per_hour", str(placement.usd_per_hour))
    pulumi.export("node_usd_per_hour", str(placement.node_usd_per_hour))
