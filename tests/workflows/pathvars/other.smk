rule made:
    output:
        "<place>/other.txt",
    shell:
        "echo other > {output}"
