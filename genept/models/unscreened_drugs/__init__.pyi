"""What is meant to be used from outside this package."""
