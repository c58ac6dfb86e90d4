"""A first configuration from export files: what is proposed, why, and what a person must confirm.

What belongs here: putting the evidence (assets/exports/proposing) together into a configuration, trying it on the exports, and
writing it with its comments. What does not: the evidence itself, and the command (pipelines/init.py).
"""
