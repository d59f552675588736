"""The login node: asking Slurm, the batch script, submitting and following it."""
