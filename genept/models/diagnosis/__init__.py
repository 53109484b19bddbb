"""Diagnosis models: tasks, heads, selection, retraining."""
