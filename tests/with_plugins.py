"""Snakemake's command line with all plugins that are installed, imported.

Runs on: the process that :mod:`forked` forks runs of Snakemake from.
"""

from snakemake.cli import get_argument_parser

get_argument_parser()
