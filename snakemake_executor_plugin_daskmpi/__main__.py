"""``python -m snakemake_executor_plugin_daskmpi``: the program ``snakemake-daskmpi``.

Runs on: the login node, in a batch script, or on a laptop.
"""

import sys

from snakemake_executor_plugin_daskmpi.cli import main

if __name__ == "__main__":
    sys.exit(main())
