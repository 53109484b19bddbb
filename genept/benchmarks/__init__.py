"""Benchmarks of representations: tasks, scores with intervals, controls, and the leaderboard.

Tasks and metrics work on arrays and frames in memory. Training of models is in `genept.models`.
"""
