"""Codecs, one file or one folder each."""
