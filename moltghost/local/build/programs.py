"""Which programs the embedded cluster is built from.

A program is one entry here and one requirement in the ``go.mod`` of its folder (``recipes.py``).
What every cluster runs is in ``CONTROL_PLANE``; the rest is built when somebody asks for it.
"""

from __future__ import annotations

from pathlib import Path

from moltghost.local.build import cpu, recipes
from moltghost.local.build.recipes import (
    TOOLCHAIN,
    AddedFile,
    CopiedFile,
    Program,
    SourceChange,
    SystemHeader,
)

_KUBERNETES = "k8s.io/kubernetes"
_ETCD = "go.etcd.io/etcd/server/v3"
_KARPENTER = "sigs.k8s.io/karpenter"
_KWOK = "sigs.k8s.io/kwok"
_CONTAINERD = "github.com/containerd/containerd/v2"
_CNI = "github.com/containernetworking/plugins"
_COREDNS = "github.com/coredns/coredns"
_OLLAMA = "github.com/ollama/ollama"
_CADDY = "github.com/caddyserver/caddy/v2"
_CRANE = "github.com/google/go-containerregistry"

KUBERNETES_HOME = TOOLCHAIN / "kubernetes"
OLLAMA_HOME = TOOLCHAIN / "ollama"
CADDY_HOME = TOOLCHAIN / "caddy"
#: Our own program, for the image of that name.
AGENT_TOOLS_HOME = Path(__file__).parents[2] / "images" / "agent-tools"

_VERSION_PACKAGES = ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")


def _kubernetes(name: str) -> Program:
    major, minor, _patch = kubernetes_version().removeprefix("v").split(".", 2)
    numbers = {"gitMajor": major, "gitMinor": minor}
    return Program(
        name=name,
        home=KUBERNETES_HOME,
        package=f"{_KUBERNETES}/cmd/{name}",
        module=_KUBERNETES,
        version_variables=tuple(f"{package}.gitVersion" for package in _VERSION_PACKAGES),
        linker_values=tuple(
            (f"{package}.{variable}", value)
            for package in _VERSION_PACKAGES
            for variable, value in numbers.items()
        ),
    )


def _containerd(name: str) -> Program:
    return Program(
        name=name,
        home=TOOLCHAIN / "containerd",
        package=f"{_CONTAINERD}/cmd/{name}",
        module=_CONTAINERD,
        version_variables=(f"{_CONTAINERD}/version.Version",),
        tags=("no_btrfs", "no_devmapper", "no_zfs", "urfave_cli_no_docs"),
    )


def _cni(name: str, kind: str) -> Program:
    return Program(
        name=name,
        home=TOOLCHAIN / "cni",
        package=f"{_CNI}/plugins/{kind}/{name}",
        module=_CNI,
        version_variables=(f"{_CNI}/pkg/utils/buildversion.BuildVersion",),
    )


def kubernetes_version() -> str:
    """The version of Kubernetes that is built, such as ``v1.36.3``."""
    return recipes.module_versions(KUBERNETES_HOME)[_KUBERNETES]


def _ollama() -> Program:
    """The model server, for CPUs.

    Module archives leave out folders named ``vendor``, where llama.cpp keeps three headers:
    two come from this machine's packages, the third from a module that carries it.
    """
    version = recipes.module_versions(OLLAMA_HOME)[_OLLAMA]
    return Program(
        name="ollama",
        home=OLLAMA_HOME,
        package=_OLLAMA,
        module=_OLLAMA,
        linker_values=((f"{_OLLAMA}/version.Version", version.removeprefix("v")),),
        # Name look-ups by Go: those of a static glibc would load shared libraries.
        tags=("netgo", "osusergo"),
        cgo=True,
        c_flags=("-O3", *cpu.compiler_flags()),
        headers=(
            SystemHeader(file="nlohmann/json.hpp", package="nlohmann-json3-dev"),
            SystemHeader(file="stb/stb_image.h", package="libstb-dev"),
        ),
        added=(
            AddedFile(
                module=_OLLAMA,
                file="llama/llama.cpp/vendor/miniaudio/miniaudio.h",
                source_module="github.com/gen2brain/malgo",
                source_file="miniaudio.h",
            ),
        ),
    )


PROGRAMS = (
    Program(name="etcd", home=KUBERNETES_HOME, package=_ETCD, module=_ETCD),
    _kubernetes("kube-apiserver"),
    _kubernetes("kubectl"),
    _kubernetes("kube-controller-manager"),
    _kubernetes("kube-scheduler"),
    Program(
        name="kwok",
        home=KUBERNETES_HOME,
        package=f"{_KWOK}/cmd/kwok",
        module=_KWOK,
        manifests=(CopiedFile(module=_KWOK, file="kustomize/crd/bases/kwok.x-k8s.io_stages.yaml"),),
    ),
    Program(
        name="karpenter",
        home=KUBERNETES_HOME,
        package=f"{_KARPENTER}/kwok",
        module=_KARPENTER,
        version_variables=(f"{_KARPENTER}/pkg/operator.Version",),
        # Karpenter's operator can only choose the port of its two endpoints, not the address: it
        # would listen on every interface of the machine.
        changes=(
            SourceChange(
                module=_KARPENTER,
                file="pkg/operator/operator.go",
                old='fmt.Sprintf(":%d", options.FromContext(ctx)',
                new='fmt.Sprintf("127.0.0.1:%d", options.FromContext(ctx)',
            ),
        ),
        manifests=tuple(
            CopiedFile(module=_KARPENTER, file=file)
            for file in (
                "pkg/apis/crds/karpenter.sh_nodepools.yaml",
                "pkg/apis/crds/karpenter.sh_nodeclaims.yaml",
                "pkg/apis/crds/karpenter.sh_nodeoverlays.yaml",
                "pkg/apis/crds/autoscaling.x-k8s.io_capacitybuffers.yaml",
                "kwok/apis/crds/karpenter.kwok.sh_kwoknodeclasses.yaml",
            )
        ),
    ),
    # versitygw as a library: its own command takes its key from arguments or the environment.
    Program(name="weights-store", home=TOOLCHAIN / "weights-store", package="."),
    _kubernetes("kubelet"),
    _kubernetes("kube-proxy"),
    _containerd("containerd"),
    _containerd("containerd-shim-runc-v2"),
    _containerd("ctr"),
    _cni("ptp", "main"),
    _cni("loopback", "main"),
    _cni("host-local", "ipam"),
    Program(name="coredns", home=TOOLCHAIN / "dns", package=".", module=_COREDNS),
    Program(name="machine-forward", home=TOOLCHAIN / "machine", package="./forward"),
    Program(name="machine-pause", home=TOOLCHAIN / "machine", package="./pause"),
    Program(name="machine-volumes", home=TOOLCHAIN / "machine", package="./volumes"),
    _ollama(),
    Program(
        name="caddy",
        home=CADDY_HOME,
        package=f"{_CADDY}/cmd/caddy",
        module=_CADDY,
        version_variables=(f"{_CADDY}.CustomVersion",),
    ),
    Program(name="agent-tools", home=AGENT_TOOLS_HOME, package="."),
    # For the machine, in no image: copies images between registries and pushes ours.
    Program(
        name="crane",
        home=TOOLCHAIN / "crane",
        package=f"{_CRANE}/cmd/crane",
        module=_CRANE,
        version_variables=(f"{_CRANE}/cmd/crane/cmd.Version",),
    ),
)

#: What every cluster needs, in the order in which it is built.
CONTROL_PLANE = (
    "etcd",
    "kube-apiserver",
    "kubectl",
    "kube-controller-manager",
    "kube-scheduler",
    "kwok",
    "karpenter",
    "weights-store",
)

#: What the machine's own node needs besides.
NODE = (
    "kubelet",
    "kube-proxy",
    "containerd",
    "containerd-shim-runc-v2",
    "ctr",
    "ptp",
    "loopback",
    "host-local",
    "coredns",
    "machine-forward",
    "machine-pause",
    "machine-volumes",
)


def program(name: str) -> Program:
    """The program of that name."""
    return next(p for p in PROGRAMS if p.name == name)


def binary(name: str) -> Path:
    """Path of a built program."""
    return program(name).binary


def custom_resources() -> list[Path]:
    """The control plane's custom resource definitions, once it is built."""
    homes = (program(name).manifests_home for name in CONTROL_PLANE)
    return sorted(path for home in homes for path in home.glob("*.yaml"))
