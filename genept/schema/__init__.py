"""Published tables and their columns, declared once."""
