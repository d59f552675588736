"""The login node: asking Slurm, the batch script, submitting and following it, and what Slurm has counted."""
