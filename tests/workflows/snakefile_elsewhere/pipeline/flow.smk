# Inputs, outputs and the configfile are in the folder of --directory, all sources beside this file.
configfile: "config/settings.yaml"


include: "rules/more.smk"


rule all:
    default_target: True
    input:
        "out/shell.txt",
        "out/run.txt",
        "out/script.txt",
        "out/included.txt",


rule shell:
    input:
        "data/word.txt",
    output:
        "out/shell.txt",
    log:
        "logs/shell.log",
    shell:
        "basename $PWD > {output} 2> {log}; cat {input} >> {output}"


rule run:
    output:
        "out/run.txt",
    run:
        with open(output[0], "w") as file:
            print(config["setting"], os.path.basename(os.getcwd()), os.path.basename(workflow.basedir), file=file)


rule script:
    input:
        table=workflow.source_path("assets/table.tsv"),
    output:
        "out/script.txt",
    script:
        "scripts/where.py"
