"""Tasks that give every pixel a class or a segment."""
