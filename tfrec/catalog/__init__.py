"""Changes of a served catalogue without training: items come, go and change their metadata."""

from tfrec.catalog.changing import CatalogueChange, add_items, remove_items, update_items

__all__ = ["CatalogueChange", "add_items", "remove_items", "update_items"]
