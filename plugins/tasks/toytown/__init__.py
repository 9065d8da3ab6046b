"""Small networks for toytown: a detector and a panoptic segmenter."""
