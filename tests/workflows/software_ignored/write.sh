echo container > "${snakemake_output[0]}"
