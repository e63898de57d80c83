"""Judgements of a trained model: one file for each kind."""
