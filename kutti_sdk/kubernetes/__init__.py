"""Kubernetes on the hosts of a cluster, by kubeadm, as one would do it by hand.

| module | its job |
|---|---|
| `options` | what a user may choose: ranges, pod network, changes to kubeadm's files |
| `guest` | a host's shell with root's rights |
| `node_facts` | asks a node what it has and how far it is |
| `kubeadm_config`, `kubeadm_patches` | write kubeadm's files for the kubeadm at hand |
| `jobs` | long commands that go on without us, and can be followed again |
| `vigil` | notices who stalled, and asks for their last words |
| `phases` | reads kubeadm's output |
| `control_plane`, `workers` | init and join |
| `node_table` | what the API server says about nodes, followed |
| `pod_network` | a bridge on each node and routes between them, or a manifest |
| `bring_up` | all of it, side by side |
| `removal` | takes nodes out of Kubernetes |
| `kubectl`, `kubeconfig`, `api_client`, `conditions` | access and how things are |
| `container_images` | brings image archives to nodes |

Hosts are reached through `VMHost` and `SSHClient` of `kutti_sdk.core` only. All
state is asked of the nodes; nothing is remembered here.
"""
