# Cut the rows of a grid into bands, a file each, with one variable only.
#
# Variables: variable, rows, files (separated by blanks).

BEGIN {
    FS = OFS = ","
    bands = split(files, names, " ")
    field = variable == "temperature" ? 4 : 5
    for (band = 1; band <= bands; band++)
        printf "" > names[band]
}

{ print $1, $2, $3, $field > names[int($2 * bands / rows) + 1] }

END { print NR " lines in " bands " bands" > "/dev/stderr" }
