import os
import resource

import beside_the_snakefile
import of_the_lib

with open(snakemake.output[0], "w") as file:
    print(os.environ.get("OF_ONSTART"), os.environ.get("TO_BE_UNSET"), snakemake.config, file=file)
    print(beside_the_snakefile.word, of_the_lib.word, snakemake.params.of_a_module.name, file=file)
    print(resource.getrlimit(resource.RLIMIT_NOFILE)[0], file=file)
