"""Scores, their bootstrap intervals, and paired comparisons."""
