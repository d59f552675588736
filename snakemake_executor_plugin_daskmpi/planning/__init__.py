"""The login node: which Slurm job a workflow gets. Pure."""
