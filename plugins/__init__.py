"""The codecs and tasks that come with the workbench."""
