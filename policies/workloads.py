"""Pods of every sort and in every kind, with their init containers and sidecars."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from .instances import NODE_POOL
from .pods import GPU, PODS, Container, Pod, env_of, has_pods, of_each_pod, pods_in, pods_of
from .reading import Undecided, get, has, items, mapping, matches, quantity
from .rule import ADVISORY, CRITICAL, HIGH, MEDIUM, Config, rule, stack_rule, texts
from .subject import Subject

_NAMESPACED_FLAGS = ("hostNetwork", "hostPID", "hostIPC")
_SECCOMP = ("RuntimeDefault", "Localhost")
# Types of volumes that hold nothing of a node or of another's network, as Pod Security restricted
# has them, less csi, whose drivers may do anything, and with images, which `image_pinned` judges.
_VOLUMES = {
    *("configMap", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim"),
    *("projected", "secret", "image"),
}
# Kubernetes docs, "Pod Security Standards", sysctls.
_SAFE_SYSCTLS = {
    *("kernel.shm_rmid_forced", "net.ipv4.ip_local_port_range", "net.ipv4.tcp_syncookies"),
    *("net.ipv4.ping_group_range", "net.ipv4.ip_unprivileged_port_start"),
    *("net.ipv4.ip_local_reserved_ports", "net.ipv4.tcp_keepalive_time"),
    *("net.ipv4.tcp_fin_timeout", "net.ipv4.tcp_keepalive_intvl", "net.ipv4.tcp_keepalive_probes"),
}
_DEVICES = "NVIDIA_VISIBLE_DEVICES"
_RUN_TO_AN_END = ("Job", "CronJob", "JobSet")
_SELECTORS = (
    "karpenter.sh/nodepool",
    "node.kubernetes.io/instance-type",
    "nvidia.com/gpu.present",
    "eks.amazonaws.com/nodegroup",
)


@rule(
    why="A hole in Ollama or OpenClaw then stays in its container.",
    fix="set runAsNonRoot true, allowPrivilegeEscalation false, capabilities.drop [ALL] and "
    "seccompProfile RuntimeDefault",
    severity=HIGH,
    types=PODS,
    sources=(
        *("kyverno restricted", "KSV-0001", "KSV-0003", "KSV-0012", "KSV-0030"),
        *("CKV_K8S_20", "CKV_K8S_23", "CKV_K8S_31", "CKV_K8S_37"),
    ),
)
@of_each_pod
def pod_restricted(pod: Pod, _config: Config) -> Iterator[str]:
    """Containers run without root, capabilities or a way to more privileges."""
    if get(pod.spec, "shareProcessNamespace") is True:
        yield "its containers see each other's processes (shareProcessNamespace)"
    for each in pod.containers:
        if _setting(pod, each, "runAsNonRoot") is not True:
            yield f"{each} may run as root: runAsNonRoot is not true"
        if _setting(pod, each, "runAsUser") == 0:
            yield f"{each} runs as root: runAsUser is 0"
        if get(each.spec, "securityContext.allowPrivilegeEscalation") is not False:
            yield f"{each} may gain privileges: allowPrivilegeEscalation is not false"
        if "ALL" not in items(each.spec, "securityContext.capabilities.drop"):
            yield f"{each} keeps capabilities: it doesn't drop ALL"
        if _setting(pod, each, "seccompProfile.type") not in _SECCOMP:
            yield f"{each} has no seccomp profile"
        if _setting(pod, each, "appArmorProfile.type") == "Unconfined" or _unconfined(pod, each):
            yield f"{each} runs without AppArmor"
        if get(each.spec, "securityContext.procMount", "Default") != "Default":
            yield f"{each} sees the kernel's whole /proc (procMount)"
        if _setting(pod, each, "seLinuxOptions.type") or _setting(pod, each, "seLinuxOptions.user"):
            yield f"{each} sets its SELinux label"
        for added in items(each.spec, "securityContext.capabilities.add"):
            if added != "NET_BIND_SERVICE":
                yield f"{each} adds the capability {added}"


def _unconfined(pod: Pod, container: Container) -> bool:
    """Whether the old annotation switches AppArmor off."""
    key = f"container.apparmor.security.beta.kubernetes.io/{container.name}"
    return mapping(pod.metadata, "annotations").get(key) == "unconfined"


def _setting(pod: Pod, container: Container, path: str) -> Any:
    """A container's own setting, else its pod's."""
    own = get(container.spec, f"securityContext.{path}")
    return get(pod.spec, f"securityContext.{path}") if own is None else own


@rule(
    why="Each of these is a way out of the container, to all pods of the node.",
    fix="remove it; a device plugin or node agent is exempted by name in the rule's config",
    severity=CRITICAL,
    types=PODS,
    sources=(
        *("CKV_K8S_16", "CKV_K8S_17", "CKV_K8S_18", "CKV_K8S_19", "CKV_K8S_26", "KSV-0008"),
        *("KSV-0009", "KSV-0010", "KSV-0017", "KSV-0023", "C-0057", "C-0048"),
    ),
)
@of_each_pod
def pod_no_privileged_host(pod: Pod, _config: Config) -> Iterator[str]:
    """Pods take nothing of the node: no privilege, namespaces, folders or ports."""
    for flag in _NAMESPACED_FLAGS:
        if get(pod.spec, flag) is True:
            yield f"it shares the node's {flag.removeprefix('host')}: {flag} is true"
    if get(pod.spec, "nodeName"):
        yield "it picks its node itself, past the scheduler (nodeName)"
    for sysctl in items(pod.spec, "securityContext.sysctls"):
        if get(sysctl, "name") not in _SAFE_SYSCTLS:
            yield f"it sets {get(sysctl, 'name', '?')} of the kernel (sysctls)"
    if items(pod.spec, "resourceClaims"):
        yield "it takes devices by a claim (resourceClaims), past the limits"
    for volume in items(pod.spec, "volumes"):
        if has(volume, "hostPath"):
            name, path = get(volume, "name", "?"), get(volume, "hostPath.path", "?")
            yield f"its volume {name} is {path} of the node (hostPath)"
        for kind in sorted(set(volume) - _VOLUMES - {"name", "hostPath"}):
            yield f"its volume {get(volume, 'name', '?')} is of the type {kind}"
    for each in pod.containers:
        if get(each.spec, "securityContext.privileged") is True:
            yield f"{each} is privileged"
        if any(get(port, "hostPort") for port in items(each.spec, "ports")):
            yield f"{each} takes a port of the node (hostPort)"
        if get(each.spec, "securityContext.windowsOptions.hostProcess") is True:
            yield f"{each} is a process of the node (hostProcess)"
        devices = env_of(each).get(_DEVICES, "none")
        if devices not in ("none", "void", "") and not pod.gpus:
            yield f"{each} takes GPUs by the variable {_DEVICES}"


@rule(
    why="An intruder can't change the program, and no log fills the node's disk.",
    fix="set readOnlyRootFilesystem true, and a sizeLimit on every emptyDir",
    severity=MEDIUM,
    types=PODS,
    sources=("CKV_K8S_22", "KSV-0014", "CP"),
)
@of_each_pod
def pod_readonly_rootfs(pod: Pod, _config: Config) -> Iterator[str]:
    """Containers write only to volumes of a bounded size."""
    for each in pod.containers:
        if get(each.spec, "securityContext.readOnlyRootFilesystem") is not True:
            yield f"{each} may write to its root file system"
    for volume in items(pod.spec, "volumes"):
        if has(volume, "emptyDir") and not has(volume, "emptyDir.sizeLimit"):
            yield f"its volume {get(volume, 'name', '?')} (emptyDir) has no sizeLimit"


@rule(
    why="Karpenter buys nodes by requests; a pod without a memory limit can kill its node.",
    fix="set requests for cpu and memory, a limit for memory, and equal whole GPU numbers",
    severity=MEDIUM,
    types=PODS,
    sources=("CKV_K8S_10", "CKV_K8S_11", "CKV_K8S_12", "CKV_K8S_13", "C-0009"),
)
@of_each_pod
def pod_resources(pod: Pod, _config: Config) -> Iterator[str]:
    """Containers say what they need, and whole GPUs."""
    for each in pod.containers:
        requests = mapping(each.spec, "resources.requests")
        limits = mapping(each.spec, "resources.limits")
        # A limit is also the request where none is given.
        missing = [name for name in ("cpu", "memory") if name not in {*requests, *limits}]
        if missing:
            yield f"{each} asks for no {' and no '.join(missing)}"
        if "memory" not in limits:
            yield f"{each} has no memory limit"
        if GPU in requests and GPU not in limits:
            yield f"{each} requests {GPU} without a limit"
        if GPU in limits:
            limit = quantity(limits[GPU])
            if limit is None or limit != limit.to_integral_value():
                yield f"{each} asks for a part of a GPU"
            if GPU in requests and quantity(requests[GPU]) != limit:
                yield f"{each} requests another number of GPUs than its limit"


@stack_rule(
    why="Otherwise it waits for ever, or sits on a GPU node that it doesn't use.",
    fix=f"add (or remove) the toleration {GPU} and a nodeSelector for the pool",
    severity=HIGH,
    types=PODS,
    sources=("EKS BPG aiml_compute",),
)
def gpu_pod_toleration_match(
    subjects: Sequence[Subject], _config: Config
) -> Iterator[tuple[Subject, str]]:
    """A pod tolerates the GPU taint and selects a GPU pool exactly if it asks for a GPU."""
    pools = {
        str(get(each.props, "metadata.name")): each for each in subjects if each.type == NODE_POOL
    }
    for subject, pod in pods_in(subjects):
        tolerates = any(_tolerates_gpu(each) for each in items(pod.spec, "tolerations"))
        if not pod.gpus:
            if tolerates and not _is_exempt_daemon(subject):
                yield subject, "it tolerates the GPU taint, but asks for no GPU"
            continue
        if not tolerates:
            yield subject, f"it asks for a GPU, but doesn't tolerate the taint {GPU}"
        chosen = mapping(pod.spec, "nodeSelector")
        if not any(key in chosen for key in _SELECTORS):
            yield subject, "it asks for a GPU, but selects no pool"
        wanted = chosen.get("karpenter.sh/nodepool")
        if pools and wanted is not None and wanted not in pools:
            yield subject, f"it selects the pool {wanted}, which the stack doesn't have"


def _tolerates_gpu(toleration: Any) -> bool:
    key = get(toleration, "key", "")
    return key == GPU or (not key and get(toleration, "operator") == "Exists")


def _is_exempt_daemon(subject: Subject) -> bool:
    """The device plugin and node agents run on GPU nodes without asking for a GPU."""
    return subject.kind == "DaemonSet"


@rule(
    why="Without a readiness probe a rolling update sends requests to what isn't ready.",
    fix="add a readinessProbe, and a livenessProbe where a restart helps",
    severity=MEDIUM,
    level=ADVISORY,
    types=PODS,
    sources=("CKV_K8S_8", "CKV_K8S_9"),
)
def pod_probes(subject: Subject, _config: Config) -> Iterator[str]:
    """Kubernetes can tell whether a container works."""
    if subject.kind in _RUN_TO_AN_END:
        return
    for each in (one for pod in pods_of(subject) for one in pod.containers):
        serves = subject.kind != "DaemonSet" and each.role == "container"
        if serves and not has(each.spec, "readinessProbe"):
            yield f"{each} gets requests before it can answer: it has no readinessProbe"
        if (
            each.runs_on
            and not has(each.spec, "livenessProbe")
            and not has(each.spec, "readinessProbe")
        ):
            yield f"nobody notices when {each} hangs: it has no probe"


@stack_rule(
    why="A privileged pod in a Helm chart is as privileged as any other, and no rule has seen it.",
    fix="declare the objects themselves, or render the chart and check what comes out",
    severity=MEDIUM,
    level=ADVISORY,
    types=("*",),
    schema={
        "opaque": texts(
            ["kubernetes:helm.sh/*", "kubernetes:yaml*", "kubernetes:kustomize*", "eks:*"],
            "Types that bring objects which no rule sees, unless they have parts in the stack.",
        ),
        "podless": texts(
            [
                *("karpenter.sh/*", "karpenter.k8s.aws/*", "karpenter.kwok.sh/*"),
                *("networking.k8s.aws/*", "cert-manager.io/*", "external-secrets.io/*"),
                *("monitoring.coreos.com/*Monitor", "monitoring.coreos.com/PrometheusRule"),
            ],
            "Kinds of custom resources, as GROUP/KIND, that bring no pods; * matches.",
        ),
    },
)
def pods_seen(subjects: Sequence[Subject], config: Config) -> Iterator[tuple[Subject, str]]:
    """Every pod that a stack brings into a cluster can be seen; what can't is counted."""
    yield from ()
    parents = {each.parent for each in subjects}
    unseen = [
        f"{each.title} ({why})"
        for each in subjects
        if (why := _hides(each, config)) and each.urn not in parents
    ]
    if unseen:
        raise Undecided(
            f"{len(unseen)} of {len(subjects)} resources can't be looked into: {', '.join(unseen)}"
        )


def _hides(subject: Subject, config: Config) -> str:
    """Why a resource may bring pods that no rule sees; empty if it doesn't."""
    if matches(subject.type, config["opaque"]):
        return f"what {subject.type} makes isn't in the stack"
    custom = subject.is_kubernetes and not subject.is_builtin
    if not custom or matches(f"{subject.group}/{subject.kind}", config["podless"]):
        return ""
    return "" if has_pods(subject) else f"nothing is known of {subject.group}/{subject.kind}"
