"""Clusters: described fluently, compared with what there is, made so.

| module | its job |
|---|---|
| `node_spec`, `description` | what a cluster shall be: immutable data and its words |
| `spec` | the same with its verbs: plan, ensure, create, apply, ephemeral |
| `record`, `store` | what is remembered of a cluster, and its lock |
| `observation` | what the hypervisor says about a cluster |
| `actions`, `drift`, `plan` | the steps from what there is to what shall be, or why not |
| `apply`, `power` | perform the steps |
| `progress` | follows them |
| `readiness` | waits until a host can be reached |
| `removal` | takes a cluster away |
| `cluster`, `node`, `status` | handles to look at and drive what exists |
| `checkpoints` | saves clusters, brings them back, copies them |
| `checkpoint_bundles` | carries checkpoints from machine to machine |
| `suspension` | suspends clusters, and lets them go on |
| `watching` | follows their states |
| `attachment` | finds clusters again |
| `table` | text tables |

Hosts are reached through the contract in `kutti_sdk.core` only, whatever the driver.
"""

from kutti_sdk.clusters.attachment import attach, list_clusters
from kutti_sdk.clusters.checkpoint_bundles import import_checkpoint
from kutti_sdk.clusters.checkpoints import Checkpoint
from kutti_sdk.clusters.cluster import Cluster
from kutti_sdk.clusters.node import Node
from kutti_sdk.clusters.node_spec import NodeForward, NodeSpec
from kutti_sdk.clusters.plan import Plan
from kutti_sdk.clusters.progress import ClusterRun
from kutti_sdk.clusters.spec import ClusterSpec, cluster
from kutti_sdk.clusters.status import ClusterStatus, NodeStatus

__all__ = [
    "Checkpoint",
    "Cluster",
    "ClusterRun",
    "ClusterSpec",
    "ClusterStatus",
    "Node",
    "NodeForward",
    "NodeSpec",
    "NodeStatus",
    "Plan",
    "attach",
    "cluster",
    "import_checkpoint",
    "list_clusters",
]
