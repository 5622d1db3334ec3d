"""The incidents this centre knows: the operator's own words, steps and figures over the shipped ones."""

from __future__ import annotations

from bot.services.centre import Centre
from scripts.incidents import SHIPPED, Catalogue, load_catalogue


def catalogue(centre: Centre) -> Catalogue:
    """Read once; raises CatalogueError where the operator's file is wrong."""
    own = centre.settings.scripts
    return load_catalogue((SHIPPED, own.resolve()) if own else (SHIPPED,))
