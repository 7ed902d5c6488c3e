"""The embedded cluster: a real Kubernetes on this machine, with simulated nodes and a real one.

etcd, the API server, the controller manager, the scheduler and Karpenter are the real programs.
The nodes that Karpenter creates are simulated by KWOK: their pods are scheduled for real, and
become ready without running anything. A simulated node carries the annotation
``kwok.x-k8s.io/node: fake``. The machine's own node (``node/``) really runs what is put on it.
"""
