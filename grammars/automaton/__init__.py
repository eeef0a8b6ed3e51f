"""From values to flat arrays: terminal automata in one process-wide store, grammars as programs over it."""
