rule included:
    output:
        "out/included.txt",
    params:
        word=lambda wildcards: helper("late"),  # defined in the file that includes this one
    script:
        "../scripts/included.py"
