"""The machine's own node: kubelet, containerd and what they need, where pods really run.

All of it lives in namespaces of its own (mounts, network, pids) that one process holds
(``init.py``): when that process ends, the kernel ends every other one, and mounts and interfaces go
with them. What is left for us to remove are its cgroups. The network has two ends of a cable: one
here, one there, with private addresses and no route beyond. Pods talk to each other and to
Services, and to nothing else.
"""
