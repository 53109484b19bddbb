"""Diagnosis of bulk samples: tasks, heads, selection, training, predictions."""
