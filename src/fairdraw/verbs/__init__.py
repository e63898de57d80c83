"""The verbs of the command line, one file a group: signature and docstring of a verb are its arguments and its help."""
