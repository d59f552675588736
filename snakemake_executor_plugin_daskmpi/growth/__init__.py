"""Further Slurm jobs that join a run: when, how many, how large, and their end."""
