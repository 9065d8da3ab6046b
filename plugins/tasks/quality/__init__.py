"""Full-reference picture quality: one module a measure, each with the definition it computes."""
