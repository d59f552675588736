rule shell:
    input:
        "data/a.txt",
    output:
        "out/shell.txt",
    log:
        "logs/shell.log",
    shell:
        "cat {input} > {output}; echo {config[word]} | tee {log} >> {output}"
