"""Announcements: written, approved, launched, followed to each person's outcome."""
