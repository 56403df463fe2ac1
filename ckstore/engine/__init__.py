"""The only layer where codec and store meet: save, restore, gc, verify; one verb a module."""
