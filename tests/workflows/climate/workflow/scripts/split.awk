# Split a series (second file) into one file per period, by the sign of the index (first file).
#
# Variables: folder.

BEGIN { FS = "," }

FNR == 1 { next }

NR == FNR {
    sign = $2 < 0 ? -1 : 1
    if (sign != last)
        number++
    last = sign
    period[$1] = sprintf("%02d", number)
    next
}

{ print > (folder "/" period[$1] ".csv") }

END { print number " periods" > "/dev/stderr" }
