"""Detectors: boxes and masks of things, scored as COCO scores them."""
