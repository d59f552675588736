word = "of the library"
