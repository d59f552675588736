"""Write the first word of a file, and how many threads there are."""

from snakemake.shell import shell

log = snakemake.log_fmt_shell()
shell("cut -d' ' -f1 {snakemake.input} > {snakemake.output} {log}")
shell("echo $OMP_NUM_THREADS {snakemake.params.extra} >> {snakemake.output}")
