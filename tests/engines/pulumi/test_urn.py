from __future__ import annotations

from moltghost.engines.pulumi.urn import make_urn


def test_urns_are_pulumis() -> None:
    root = make_urn("s", "p", "", "pulumi:pulumi:Stack", "p-s")
    component = make_urn("s", "p", root, "a:b:C", "c")

    assert component == "urn:pulumi:s::p::a:b:C::c"
    assert make_urn("s", "p", component, "d:e:F", "f") == "urn:pulumi:s::p::a:b:C$d:e:F::f"
