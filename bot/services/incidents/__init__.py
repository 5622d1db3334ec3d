"""Incidents: reported, planned, drilled, recorded, closed."""
