"""Segmenters: what marks pictures for the training of codecs for machines."""
