"""Learned image codecs for machines and humans: networks, training and streams."""
