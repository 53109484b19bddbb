"""What representations are worth: tasks, scores, their intervals and their controls.

Works on arrays and frames in memory; storage and orchestration belong elsewhere.
"""
