echo "$LOADED" > "${snakemake_output[0]}"
