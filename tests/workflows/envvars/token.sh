echo "$TESTED_TOKEN" "$TESTED_WORDS" > "${snakemake_output[0]}"
