"""One file a stage: `depends(config, workspace)` says what it rests on, `run(config, workspace)` does it.

Stages never import one another: they meet in the workspace, through artifacts.
"""
