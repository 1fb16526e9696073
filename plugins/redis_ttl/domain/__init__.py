"""What the program's things are: names, numbers and rules, with the standard library alone."""
