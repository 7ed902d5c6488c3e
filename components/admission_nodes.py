"""CEL over the pools of an environment: which nodes a pod of an agent may select and tolerate.

The namespace of an agent names the pools and node types of its plan; what these names mean, in
labels and taints of nodes, is the environment's. Expressions stand in rules of
`components.admission`, which defines ``variables.selector``, ``variables.space`` and ``t``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from moltghost.labels import GPU_RESOURCE, POOL_TAINT_KEY, POOLS_ANNOTATION, TYPES_ANNOTATION
from moltghost.planning.pools import NodesPlan

POOLS_OF_SPACE = f"variables.space.annotations['{POOLS_ANNOTATION}'].split(',')"
_TYPES_OF_SPACE = f"variables.space.annotations['{TYPES_ANNOTATION}'].split(',')"


def selector_keys(pools: Iterable[NodesPlan]) -> list[str]:
    """The labels that pods select pools by, for people."""
    return list(dict.fromkeys(key for pool in pools for key in pool.selector))


def selects_a_pool(pools: Sequence[NodesPlan]) -> str:
    """The pod selects one of the pools that its namespace names, with all labels of that one."""
    terms = [
        f"'{key}' in variables.selector && variables.selector['{key}'] in {POOLS_OF_SPACE}"
        for key in dict.fromkeys(map(_named_by, pools))
        if key
    ]
    terms += [
        " && ".join((f"'{pool.name}' in {POOLS_OF_SPACE}", *_selects(pool)))
        for pool in pools
        if not _named_by(pool)
    ]
    return " || ".join(terms) or "false"


def selects_a_type(pools: Sequence[NodesPlan]) -> str:
    """The pod selects a node type that its namespace names, where its pool tells types apart."""
    terms = [
        f"'{key}' in variables.selector && variables.selector['{key}'] in {_TYPES_OF_SPACE}"
        for key in dict.fromkeys(pool.type_label for pool in pools if pool.type_label)
    ]
    terms += [" && ".join(_selects(pool)) for pool in pools if not pool.type_label]
    return " || ".join(terms) or "false"


def tolerates_other_taints(pools: Sequence[NodesPlan]) -> str:
    """Taints of the namespace's pools besides those that all pools have in common."""
    return "".join(
        f" || '{pool.name}' in {POOLS_OF_SPACE} && t.key == '{taint.key}' && "
        f"has(t.value) && t.value == '{taint.value}'"
        for pool in pools
        for taint in pool.taints
        if taint.key not in (GPU_RESOURCE, POOL_TAINT_KEY)
    )


def _named_by(pool: NodesPlan) -> str | None:
    """The label whose value is the pool's name, where that alone selects it."""
    [key, value], *more = pool.selector.items()
    return key if value == pool.name and not more else None


def _selects(pool: NodesPlan) -> list[str]:
    return [
        f"'{key}' in variables.selector && variables.selector['{key}'] == '{value}'"
        for key, value in pool.selector.items()
    ]
