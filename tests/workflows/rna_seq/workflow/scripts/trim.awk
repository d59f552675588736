# Cut adapters and ends of low quality off the reads of a FASTQ file, and drop what is too short then.
#
# Variables: adapter, quality (lowest Phred score of a last base), min_length, stats (file).

BEGIN {
    for (code = 33; code < 127; code++)
        score[sprintf("%c", code)] = code - 33
}

NR % 4 == 1 { name = $0 }
NR % 4 == 2 { read = $0 }
NR % 4 == 0 {
    total++
    keep = length(read)
    at = index(read, adapter)
    if (at) {
        with_adapter++
        keep = at - 1
    }
    while (keep > 0 && score[substr($0, keep, 1)] < quality)
        keep--
    if (keep >= min_length) {
        kept++
        print name "\n" substr(read, 1, keep) "\n+\n" substr($0, 1, keep)
    }
}

END {
    printf "total\t%d\nwith_adapter\t%d\nkept\t%d\n", total, with_adapter, kept > stats
    print kept " of " total " reads kept" > "/dev/stderr"
}
