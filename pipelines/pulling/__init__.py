"""Pulling from a CRM: sending requests, keeping what came, writing the export files.

What belongs here: how a pull runs. What does not: what is pulled from which CRM (assets/exports/pulling).
"""
