word = "of the library"


class Kind:
    def __init__(self, name):
        self.name = name
