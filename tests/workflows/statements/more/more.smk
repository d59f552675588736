def helper(text):
    return text.strip().upper()


rule included:
    output:
        "out/included.txt",
    script:
        "included.py"
