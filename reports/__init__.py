"""Tables and curves from the rows of runs."""
