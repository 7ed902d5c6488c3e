"""The wall's rules over nodes: of Karpenter's pools, and of nodes that somebody else labelled."""

from __future__ import annotations

from moltghost.components.admission_nodes import (
    selector_keys,
    selects_a_pool,
    selects_a_type,
    tolerates_other_taints,
)
from moltghost.planning.karpenter import nodes_of
from moltghost.planning.pools import NodesPlan, Taint, gpu_taints

SPACE = "variables.space.annotations"
OURS = (nodes_of("h100", gpu_taints()), nodes_of("cpu", ()))
THEIRS = NodesPlan(
    name="a100",
    selector={"example.com/gpu": "a100", "example.com/team": "ml"},
    taints=(*gpu_taints(), Taint(key="dedicated", value="ml")),
)


def test_pools_that_a_label_names_are_held_to_the_names_of_the_namespace() -> None:
    assert selects_a_pool(OURS) == (
        "'karpenter.sh/nodepool' in variables.selector && "
        "variables.selector['karpenter.sh/nodepool'] in "
        f"{SPACE}['moltghost.dev/pools'].split(',')"
    )
    assert selector_keys(OURS) == ["karpenter.sh/nodepool"]


def test_other_pools_are_selected_by_all_of_their_labels_if_the_namespace_names_them() -> None:
    rule = selects_a_pool((THEIRS,))
    assert rule == (
        f"'a100' in {SPACE}['moltghost.dev/pools'].split(',') && "
        "'example.com/gpu' in variables.selector && "
        "variables.selector['example.com/gpu'] == 'a100' && "
        "'example.com/team' in variables.selector && "
        "variables.selector['example.com/team'] == 'ml'"
    )
    assert selects_a_pool((*OURS, THEIRS)) == f"{selects_a_pool(OURS)} || {rule}"
    assert selector_keys((THEIRS,)) == ["example.com/gpu", "example.com/team"]


def test_gpu_pods_select_a_type_where_the_pool_tells_types_apart_and_the_pool_elsewhere() -> None:
    assert selects_a_type(OURS) == (
        "'node.kubernetes.io/instance-type' in variables.selector && "
        "variables.selector['node.kubernetes.io/instance-type'] in "
        f"{SPACE}['moltghost.dev/instance-types'].split(',')"
    )
    assert "'example.com/gpu' in variables.selector" in selects_a_type((THEIRS,))
    assert "instance-type" not in selects_a_type((THEIRS,))


def test_a_taint_of_a_pools_own_is_tolerated_only_for_that_pool() -> None:
    assert tolerates_other_taints(OURS) == ""
    assert tolerates_other_taints((THEIRS,)) == (
        f" || 'a100' in {SPACE}['moltghost.dev/pools'].split(',') && t.key == 'dedicated' && "
        "has(t.value) && t.value == 'ml'"
    )


def test_without_any_pool_no_pod_is_let_in() -> None:
    assert selects_a_pool(()) == selects_a_type(()) == "false"
