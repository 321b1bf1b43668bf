"""Plots of training runs and of models, drawn by matplotlib without its global state."""
