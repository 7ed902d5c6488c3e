"""What holds for every container, init containers and sidecars too."""

from __future__ import annotations

import re

from tests.components.cases import all_containers, containers, pods

# Volumes by what they are; nothing of the host's.
VOLUMES = {"emptyDir", "configMap", "secret", "persistentVolumeClaim"}


def test_the_cases_have_every_container_in_them() -> None:
    names = {each["name"] for _, each in containers()}
    assert names == {"weights", "ollama", "loader", "gate", "openclaw"}


def test_no_container_can_become_more_than_it_is() -> None:
    for where, container in containers():
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }, where


def test_every_pod_runs_as_a_user_without_rights() -> None:
    for where, pod in pods():
        security = pod["spec"]["securityContext"]
        assert security["runAsNonRoot"] is True, where
        assert security["runAsUser"] > 0, where
        assert security["runAsGroup"] > 0, where
        assert security["seccompProfile"] == {"type": "RuntimeDefault"}, where


def test_no_pod_sees_the_host_or_the_api_server() -> None:
    for where, template in pods():
        pod = template["spec"]
        assert pod["automountServiceAccountToken"] is False, where
        assert pod["enableServiceLinks"] is False, where
        assert pod["serviceAccountName"] in {"model-server", "runtime"}, where
        assert not {"hostNetwork", "hostPID", "hostIPC", "nodeName"} & set(pod), where
        assert {kind for volume in pod["volumes"] for kind in volume} <= VOLUMES | {"name"}, where
        for container in all_containers(pod):
            assert not any("hostPort" in port for port in container.get("ports", ())), where


def test_every_container_requests_cpu_and_memory_and_is_limited_in_memory() -> None:
    for where, container in containers():
        requests, limits = container["resources"]["requests"], container["resources"]["limits"]
        assert int(requests["cpu"].removesuffix("m")) > 0, where
        assert int(limits["memory"]) == int(requests["memory"]) > 0, where
        # An idle neighbour's cycles may be used.
        assert "cpu" not in limits, where


def test_every_container_says_how_much_of_the_nodes_disk_it_uses() -> None:
    for where, container in containers():
        requests, limits = container["resources"]["requests"], container["resources"]["limits"]
        assert int(requests["ephemeral-storage"]) > 0, where
        assert limits["ephemeral-storage"] == requests["ephemeral-storage"], where


def test_every_image_has_a_pinned_version() -> None:
    for where, container in containers():
        repository, _, version = container["image"].rpartition(":")
        assert "/" in repository, where
        assert re.fullmatch(r"\d+\.\d+\.\d+[a-z0-9.-]*", version), where
        assert container.get("imagePullPolicy", "IfNotPresent") == "IfNotPresent", where


def test_every_mount_is_of_a_volume_of_the_pod_and_tmp_can_be_written() -> None:
    for where, template in pods():
        volumes = {volume["name"] for volume in template["spec"]["volumes"]}
        for container in all_containers(template["spec"]):
            mounts = container["volumeMounts"]
            assert {mount["name"] for mount in mounts} <= volumes, where
            paths = [mount["mountPath"] for mount in mounts]
            assert len(paths) == len(set(paths)), where
            assert "/tmp" in paths, f"{where} {container['name']}: its root is read-only"


def test_containers_of_a_pod_share_no_writable_folder_but_for_the_weights() -> None:
    for where, template in pods():
        written = [
            (mount["name"], mount.get("subPath"))
            for container in all_containers(template["spec"])
            for mount in container["volumeMounts"]
            if not mount.get("readOnly")
        ]
        assert len(written) == len(set(written)), where


def test_every_scratch_volume_is_limited_and_on_disk() -> None:
    for where, template in pods():
        for volume in template["spec"]["volumes"]:
            if "emptyDir" in volume:
                assert set(volume["emptyDir"]) == {"sizeLimit"}, where
                assert int(volume["emptyDir"]["sizeLimit"]) > 0, where


def test_environment_variables_are_text_and_named_once() -> None:
    for where, container in containers():
        names = [entry["name"] for entry in container["env"]]
        assert len(names) == len(set(names)), where
        for entry in container["env"]:
            assert ("value" in entry) != ("valueFrom" in entry), where
            assert isinstance(entry.get("value", ""), str), where


def test_no_container_hides_the_gpu_that_it_was_given() -> None:
    for where, container in containers():
        assert "NVIDIA_VISIBLE_DEVICES" not in {entry["name"] for entry in container["env"]}, where


def test_no_pod_is_moved_to_save_money() -> None:
    for where, pod in pods():
        assert pod["metadata"]["annotations"]["karpenter.sh/do-not-disrupt"] == "true", where


def test_every_pod_is_held_to_a_pool_and_has_the_agents_priority() -> None:
    for where, pod in pods():
        assert "karpenter.sh/nodepool" in pod["spec"]["nodeSelector"], where
        assert pod["spec"]["priorityClassName"] == "moltghost-agent", where
