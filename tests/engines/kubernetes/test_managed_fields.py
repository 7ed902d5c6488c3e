"""Who wrote what into our objects, told from the API server's record of field owners."""

from __future__ import annotations

from typing import Any

import pytest

from moltghost.engines.kubernetes.managed_fields import additions, removal, writer_of, writers
from moltghost.engines.pulumi.values import format_path

Object = dict[str, Any]
TIME = "2026-11-25T13:59:09Z"

MINE: Object = {
    "kind": "Deployment",
    "metadata": {"name": "d", "labels": {"app": "d"}},
    "spec": {
        "replicas": 1,
        "template": {
            "spec": {
                "containers": [
                    {
                        "name": "gate",
                        "env": [{"name": "A", "value": "1"}],
                        "ports": [{"containerPort": 80}],
                    }
                ]
            }
        },
    },
}


def entry(manager: str, fields: Object, subresource: str = "") -> Object:
    found = {"manager": manager, "operation": "Update", "time": TIME, "fieldsV1": fields}
    return {**found, "subresource": subresource} if subresource else found


def live(*entries: Object, **changes: Any) -> Object:
    metadata = {**MINE["metadata"], **changes.pop("metadata", {}), "managedFields": list(entries)}
    return {**MINE, **changes, "metadata": metadata}


def in_container(fields: Object) -> Object:
    container = {"f:containers": {'k:{"name":"gate"}': fields}}
    return {"f:spec": {"f:template": {"f:spec": container}}}


def with_container(**fields: Any) -> Object:
    [container] = MINE["spec"]["template"]["spec"]["containers"]
    spec = {"containers": [{**container, **fields}]}
    return {**MINE["spec"], "template": {"spec": spec}}


def added(obj: Object) -> dict[str, Any]:
    return {format_path(each.path): each.value for each in additions(obj, MINE)}


def test_what_we_wrote_under_another_name_is_no_addition() -> None:
    fields = {"f:metadata": {"f:labels": {"f:x": {}}}}
    obj = live(entry("ours", fields), metadata={"labels": {"app": "d", "x": "y"}})

    assert additions(obj, MINE)
    assert additions(obj, MINE, ("ours",)) == []
    assert writers(obj, ("ours",)) == {}


def test_a_label_that_somebody_added_is_an_addition_with_its_writer() -> None:
    labels = {"app": "d", "color": "red"}
    obj = live(
        entry("kubectl-label", {"f:metadata": {"f:labels": {"f:color": {}}}}),
        metadata={"labels": labels},
    )
    [found] = additions(obj, MINE)
    assert (format_path(found.path), found.value) == ("metadata.labels.color", "red")
    assert str(found.writer) == f"kubectl-label at {TIME}"
    assert found.writer.is_person


def test_a_list_item_that_somebody_added_is_one_addition_not_one_for_each_field() -> None:
    env = [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]
    fields = {"f:env": {'k:{"name":"B"}': {".": {}, "f:name": {}, "f:value": {}}}}
    obj = live(entry("kubectl-set", in_container(fields)), spec=with_container(env=env))
    assert added(obj) == {"spec.template.spec.containers[0].env[1]": {"name": "B", "value": "2"}}


def test_a_container_that_somebody_added_is_an_addition() -> None:
    containers = [
        *MINE["spec"]["template"]["spec"]["containers"],
        {"name": "spy", "image": "spy:1"},
    ]
    fields = {"f:containers": {'k:{"name":"spy"}': {".": {}, "f:image": {}, "f:name": {}}}}
    obj = live(
        entry("kubectl-edit", {"f:spec": {"f:template": {"f:spec": fields}}}),
        spec={**MINE["spec"], "template": {"spec": {"containers": containers}}},
    )
    assert added(obj) == {"spec.template.spec.containers[1]": {"name": "spy", "image": "spy:1"}}


def test_a_change_of_a_field_of_ours_is_no_addition_but_has_its_writer() -> None:
    obj = live(
        entry("kubectl", {"f:spec": {"f:replicas": {}}}, "scale"),
        spec={**MINE["spec"], "replicas": 3},
    )
    assert added(obj) == {}
    found = {format_path(path): writer for path, writer in writers(obj).items()}
    assert str(writer_of("spec.replicas", found)) == f"kubectl at {TIME}"
    assert writer_of("spec.paused", found) is None


def test_a_key_field_with_a_default_finds_the_item_of_ours() -> None:
    ports = [{"containerPort": 80, "protocol": "TCP", "name": "http"}]
    fields = {"f:ports": {'k:{"containerPort":80,"protocol":"TCP"}': {".": {}, "f:name": {}}}}
    obj = live(entry("kubectl-edit", in_container(fields)), spec=with_container(ports=ports))
    assert added(obj) == {"spec.template.spec.containers[0].ports[0].name": "http"}


@pytest.mark.parametrize(
    "manager", ["kube-controller-manager", "karpenter", "kwok", "kubelet", "moltghost", "eks"]
)
def test_what_the_clusters_controllers_and_we_write_is_no_addition(manager: str) -> None:
    obj = live(
        entry(manager, {"f:metadata": {"f:labels": {"f:color": {}}}}),
        metadata={"labels": {"app": "d", "color": "red"}},
    )
    assert added(obj) == {}


def test_another_controllers_addition_is_told_and_is_no_persons() -> None:
    obj = live(
        entry("istiod", {"f:metadata": {"f:labels": {"f:mesh": {}}}}),
        metadata={"labels": {"app": "d", "mesh": "on"}},
    )
    [found] = additions(obj, MINE)
    assert not found.writer.is_person


@pytest.mark.parametrize(
    ("fields", "changes"),
    [
        ({"f:metadata": {"f:finalizers": {'v:"a/b"': {}}}}, {"metadata": {"finalizers": ["a/b"]}}),
        ({"f:status": {"f:replicas": {}}}, {"status": {"replicas": 1}}),
    ],
)
def test_finalizers_and_status_belong_to_whoever_wrote_them(
    fields: Object, changes: Object
) -> None:
    assert added(live(entry("kubectl-edit", fields), **changes)) == {}


def test_a_restart_is_no_change() -> None:
    annotations = {"kubectl.kubernetes.io/restartedAt": TIME}
    path = {"f:annotations": {".": {}, "f:kubectl.kubernetes.io/restartedAt": {}}}
    template = {"metadata": {"annotations": annotations}, **MINE["spec"]["template"]}
    obj = live(
        entry("kubectl-rollout", {"f:spec": {"f:template": {"f:metadata": path}}}),
        spec={**MINE["spec"], "template": template},
    )
    assert added(obj) == {}


def test_a_patch_takes_the_last_item_of_a_list_away_first() -> None:
    env = [{"name": "A", "value": "1"}, {"name": "B"}, {"name": "C"}]
    item = {".": {}, "f:name": {}}
    fields = {"f:env": {'k:{"name":"B"}': item, 'k:{"name":"C"}': item}}
    note = {"f:metadata": {"f:annotations": {"f:a.b/c": {}}}}
    obj = live(
        entry("kubectl-set", in_container(fields)),
        entry("kubectl-annotate", note),
        spec=with_container(env=env),
        metadata={"annotations": {"a.b/c": "x"}},
    )
    assert removal(additions(obj, MINE)) == [
        {"op": "remove", "path": "/spec/template/spec/containers/0/env/2"},
        {"op": "remove", "path": "/spec/template/spec/containers/0/env/1"},
        {"op": "remove", "path": "/metadata/annotations/a.b~1c"},
    ]
