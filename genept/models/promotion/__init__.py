"""The promotion gate, challengers and champions."""
