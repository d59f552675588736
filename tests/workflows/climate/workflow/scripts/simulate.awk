# Make up a monthly series on a grid, and an index that goes up and down over the years.
#
# Variables: rows, columns, months, index_file.

BEGIN {
    pi = atan2(0, -1)
    print "month,row,column,temperature,precipitation"
    print "month,index" > index_file
    for (month = 0; month < months; month++) {
        phase = sin(2 * pi * month / 20 + 0.3)
        printf "%d,%.3f\n", month, phase > index_file
        season = -cos(2 * pi * month / 12)
        for (row = 0; row < rows; row++)
            for (column = 0; column < columns; column++) {
                temperature = 15 - 2 * row + 0.3 * column + 8 * season + 1.2 * phase
                precipitation = 60 + 5 * column - 3 * row + 20 * season * phase
                printf "%d,%d,%d,%.3f,%.3f\n", month, row, column, temperature, precipitation
            }
    }
    print months " months" > "/dev/stderr"
}
