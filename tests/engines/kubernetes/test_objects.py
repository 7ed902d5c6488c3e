from __future__ import annotations

import pytest

from moltghost.engines.kubernetes import objects
from moltghost.engines.pulumi.values import UNKNOWN, Secret
from moltghost.errors import Refused


def test_what_is_sent_carries_the_mark_of_the_stack_and_plain_secrets() -> None:
    inputs = {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": "n", "annotations": {"a": Secret("b")}},
    }

    sent = objects.rendered(inputs, "a.local")

    assert sent["metadata"]["annotations"] == {
        "a": "b",
        "moltghost.dev/stack": "a.local",
        "moltghost.dev/engine": "embedded",
    }
    assert inputs["metadata"] == {"name": "n", "annotations": {"a": Secret("b")}}


def test_a_definition_gets_its_dashes_back() -> None:
    inputs = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "n"},
        "spec": [{"x_kubernetes_preserve_unknown_fields": True}],
    }

    sent = objects.rendered(inputs, "a.local")

    assert sent["spec"] == [{"x-kubernetes-preserve-unknown-fields": True}]


def test_secrets_of_the_inputs_and_of_a_secret_object_are_marked_in_the_outputs() -> None:
    inputs = {"spec": {"list": [{"a": Secret("x")}]}}
    found = {
        "kind": "Secret",
        "metadata": {"name": "n", "managedFields": []},
        "data": {"a": "b"},
        "spec": {"list": [{"a": "x", "b": 1}]},
    }

    shown = objects.shown(found, inputs)

    assert shown["data"] == Secret({"a": "b"})
    assert shown["spec"] == {"list": [{"a": Secret("x"), "b": 1}]}
    assert shown["metadata"] == {"name": "n"}


def test_unknown_texts_are_stood_in_for_and_other_unknowns_are_not() -> None:
    known = {"data": {"a": UNKNOWN}, "spec": {"env": [{"name": "a", "value": UNKNOWN}]}}

    filled = objects.with_placeholders(known, [("data", "a"), ("spec", "env", 0, "value")])

    assert filled == {
        "data": {"a": "dW5rbm93bg=="},
        "spec": {"env": [{"name": "a", "value": "dW5rbm93bg=="}]},
    }
    assert objects.with_placeholders({"spec": UNKNOWN}, [("spec",)]) is None
    assert objects.with_placeholders({"stringData": Secret(UNKNOWN)}, [("stringData",)]) == {
        "stringData": {}
    }


def test_paths_of_ignore_changes_are_read_and_applied() -> None:
    obj = {"spec": {"replicas": 1, "list": [{"a.b/c": 1}]}}

    assert objects.parse_path('spec.list[0]["a.b/c"]') == ("spec", "list", 0, "a.b/c")
    assert objects.value_at(obj, ("spec", "list", 0, "a.b/c")) == 1
    assert objects.with_value(obj, ("spec", "replicas"), 5)["spec"]["replicas"] == 5
    assert obj["spec"]["replicas"] == 1
    with pytest.raises(Refused, match="without wildcards"):
        objects.parse_path("spec.*")
