echo "${snakemake_params[number]} ${snakemake_params[parsed]} ${snakemake_resources[mem_mb]}" > out/told.txt
echo 3 > "${snakemake_output[0]}"
