"""Count the words of a file."""

from snakemake.shell import shell

log = snakemake.log_fmt_shell(stdout=False, stderr=True)
extra = snakemake.params.get("extra", "")
shell("(wc -w < {snakemake.input} > {snakemake.output}; echo {extra} >> {snakemake.output}; echo told >&2) {log}")
