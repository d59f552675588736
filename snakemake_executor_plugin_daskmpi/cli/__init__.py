"""``snakemake-daskmpi``: plan, submit, follow, status, watch, explain, report, advise, doctor, profile.

Runs on: the login node, in a batch script, or on a laptop; ``doctor`` also on every rank.

Importing it takes as long as importing the package: what a verb needs is imported by that verb.
"""

from snakemake_executor_plugin_daskmpi.cli.program import main

__all__ = ["main"]
