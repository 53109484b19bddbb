"""What an analyst or a program opens: a release, its tables and vectors, an installation."""
