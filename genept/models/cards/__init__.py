"""Model cards, their pages and figures, and what retraining forgot."""
