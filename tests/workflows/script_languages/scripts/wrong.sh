echo half of it > "${snakemake_output[0]}"
exit 3
