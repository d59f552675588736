print("words of a module")
