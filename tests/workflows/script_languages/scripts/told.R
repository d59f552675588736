writeLines(snakemake@params[["word"]], snakemake@output[[1]])
