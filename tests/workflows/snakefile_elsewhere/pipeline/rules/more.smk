rule included:
    input:
        "out/shell.txt",
    output:
        "out/included.txt",
    shadow:
        "minimal"
    shell:
        "touch left_behind; cp {input} {output}"
