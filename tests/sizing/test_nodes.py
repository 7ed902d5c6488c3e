import pytest

from moltghost.models import instance_type, instance_types
from moltghost.sizing.nodes import allocatable, capacity
from moltghost.units import GB, GIB, MIB


def test_a_nodes_capacity_is_what_karpenters_aws_provider_says() -> None:
    node = capacity(instance_type("g6e.xlarge"))
    assert node.cpu_millis == 4000
    assert node.memory_bytes == (32768 - 2458) * MIB  # 7.5 %, rounded up
    assert node.ephemeral_storage_bytes == 250 * GB
    assert (node.pods, node.gpus) == (58, 1)


def test_what_is_left_for_pods_follows_the_kubelets_reservations() -> None:
    node = allocatable(instance_type("g6e.xlarge"))
    assert node.cpu_millis == 4000 - (60 + 10 + 10)
    assert node.memory_bytes == (32768 - 2458 - (255 + 11 * 58) - 100) * MIB
    assert node.ephemeral_storage_bytes == 225 * GB - GIB


@pytest.mark.parametrize(("name", "reserved"), [("p5.48xlarge", 550), ("m7i.large", 70)])
def test_reserved_cpu_falls_off_with_the_cores(name: str, reserved: int) -> None:
    kind = instance_type(name)
    assert allocatable(kind).cpu_millis == kind.vcpu * 1000 - reserved


def test_a_type_without_instance_store_has_its_root_volume() -> None:
    assert capacity(instance_type("m7i.large")).ephemeral_storage_bytes == 20 * GIB
    larger = capacity(instance_type("m7i.large"), root_volume_bytes=80 * GIB)
    assert larger.ephemeral_storage_bytes == 80 * GIB


def test_no_node_gives_pods_more_than_it_has() -> None:
    for kind in instance_types().values():
        whole, left = capacity(kind), allocatable(kind)
        assert 0 < left.cpu_millis < whole.cpu_millis
        assert 0 < left.memory_bytes < whole.memory_bytes
        assert 0 < left.ephemeral_storage_bytes < whole.ephemeral_storage_bytes
        assert 0 < left.pods <= whole.pods
