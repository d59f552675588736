#!/usr/bin/env bash
exec 2> "${snakemake_log[0]}"
echo "a line for the log" >&2
{
    cat "${snakemake_input[0]}" "${snakemake_input[named]}"
    echo "${snakemake_params[word]}" "${snakemake_params[number]}" "${snakemake[threads]}"
    echo "${snakemake_resources[mem_mb]}" "${snakemake[rule]}" "${snakemake_config[answer]}"
} > "${snakemake_output[0]}"
