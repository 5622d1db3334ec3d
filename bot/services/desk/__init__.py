"""Conversations people hold: handed over, given, answered, handed on, wrapped up."""
