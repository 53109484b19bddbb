"""The command line: one module per subject; what it does belongs to the other packages."""
