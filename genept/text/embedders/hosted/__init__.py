"""Hosted embedders: requests, answers, batches, the budget and the ledger of what was paid."""
