#!/usr/bin/env bash
echo bash > "${snakemake_output[0]}"
