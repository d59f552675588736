word = "beside the Snakefile"
