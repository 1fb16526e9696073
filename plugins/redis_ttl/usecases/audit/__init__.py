"""From the first connection to the merged audit."""
