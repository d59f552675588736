# Reduce the months of each cell to one number; a line of the output is a row of the grid, after its number.
#
# Variables: how (mean or sum).

BEGIN { FS = "," }

{
    total[$2, $3] += $4
    count[$2, $3]++
    first = first == "" || $2 < first ? $2 : first
    last = $2 > last ? $2 : last
    width = $3 > width ? $3 : width
}

END {
    for (row = first; row <= last; row++) {
        line = row
        for (column = 0; column <= width; column++)
            line = line sprintf(",%.3f", how == "mean" ? total[row, column] / count[row, column] : total[row, column])
        print line
    }
    print NR " values" > "/dev/stderr"
}
