"""Live views: stock ipywidgets that are kept fresh while somebody looks at them.

Everything in here runs on the island, whose loop lives on between cells, while a cell
computes, and under trio. What a button's callback does in whichever thread the kernel
calls it is to hand its work over to there.

| module | its job |
|---|---|
| `tree` | closes a widget with all models that it is made of |
| `painter` | four pictures a second at most, the last state always |
| `follower` | looks at the hypervisor while somebody looks at the view |
| `task_panel` | buttons that begin something: off while it runs, errors shown, cancel offered |
| `controls` | buttons and fields that look alike |
| `cluster_view`, `node_panel`, `run_panel` | a cluster: its nodes, commands on them, its network |
| `images_view` | the images of a driver |
| `registry` | one view for one thing, however often it is shown |
"""
