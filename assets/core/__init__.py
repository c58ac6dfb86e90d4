"""Trusted tables: accepted rows and what follows from them alone."""
