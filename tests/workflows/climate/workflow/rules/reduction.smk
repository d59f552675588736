rule cut:
    input:
        "results/periods/{period}.csv",
    output:
        scatter.band("results/{{variable}}/bands/{{period}}/{scatteritem}.csv"),
    params:
        script=awk("cut.awk"),
        rows=config["grid"]["rows"],
    log:
        "logs/cut/{variable}-{period}.log",
    benchmark:
        "benchmarks/cut/{variable}-{period}.tsv"
    shell:
        "awk -f {params.script} -v variable={wildcards.variable} -v rows={params.rows} -v files='{output}'"
        " {input} 2> {log}"


rule reduce:
    input:
        "results/{variable}/bands/{period}/{scatteritem}.csv",
    output:
        temp("results/{variable}/bands/{period}/{scatteritem}.reduced.csv"),
    params:
        script=awk("reduce.awk"),
        how=lambda wildcards: config["variables"][wildcards.variable],
    log:
        "logs/reduce/{variable}-{period}-{scatteritem}.log",
    benchmark:
        "benchmarks/reduce/{variable}-{period}-{scatteritem}.tsv"
    resources:
        mem_mb=lambda wildcards, input: max(10, 2 * input.size_mb),
    shell:
        "awk -f {params.script} -v how={params.how} {input} > {output} 2> {log}"


rule paste:
    input:
        gather.band("results/{{variable}}/bands/{{period}}/{scatteritem}.reduced.csv"),
    output:
        map="results/{variable}/maps/{period}.csv",
        mean="results/{variable}/periods/{period}.txt",
    log:
        "logs/paste/{variable}-{period}.log",
    benchmark:
        "benchmarks/paste/{variable}-{period}.tsv"
    shell:
        "cat {input} > {output.map};"
        " awk -F, '{{ for (i = 2; i <= NF; i++) {{ total += $i; cells++ }} }}"
        " END {{ printf \"{wildcards.period} %.3f\\n\", total / cells }}' {output.map} > {output.mean} 2> {log}"


rule means:
    input:
        means_of_periods,
    output:
        report("results/{variable}/means.tsv", category="Means", labels={"variable": "{variable}"}),
    log:
        "logs/means/{variable}.log",
    benchmark:
        "benchmarks/means/{variable}.tsv"
    shell:
        "cat {input} > {output} 2> {log}"
