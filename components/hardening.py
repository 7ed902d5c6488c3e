"""The security context of every pod of ours: what Pod Security `restricted` asks for, and more.

Non-root, no capability, no privilege escalation, a read-only root file system, the runtime's
seccomp profile and no service account token.
"""

from __future__ import annotations

from pulumi_kubernetes.core import v1 as core

UID = 1000


def pod_security() -> core.PodSecurityContextArgs:
    """For ``spec.securityContext`` of a pod."""
    return core.PodSecurityContextArgs(
        run_as_non_root=True,
        run_as_user=UID,
        run_as_group=UID,
        fs_group=UID,
        fs_group_change_policy="OnRootMismatch",
        seccomp_profile=core.SeccompProfileArgs(type="RuntimeDefault"),
    )


def container_security() -> core.SecurityContextArgs:
    """For ``securityContext`` of a container."""
    return core.SecurityContextArgs(
        allow_privilege_escalation=False,
        read_only_root_filesystem=True,
        capabilities=core.CapabilitiesArgs(drop=["ALL"]),
    )


def scratch(name: str, size_bytes: int) -> core.VolumeArgs:
    """A writable volume that goes with the pod; on GPU nodes it lies on NVMe."""
    return core.VolumeArgs(
        name=name, empty_dir=core.EmptyDirVolumeSourceArgs(size_limit=str(size_bytes))
    )
