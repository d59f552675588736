"""Rank 1: Snakemake's executor, and what it knows of jobs and workers."""
