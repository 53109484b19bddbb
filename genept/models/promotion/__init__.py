"""The promotion gate, its questions, champions and challengers."""
