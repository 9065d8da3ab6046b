"""Recognisers of Hugging Face's transformers, from pinned snapshots of their repositories."""
