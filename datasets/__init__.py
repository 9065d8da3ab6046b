"""The datasets that come with the workbench."""
