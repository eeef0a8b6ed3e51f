"""What may be written: front-ends, automata, vocabularies, matchers. Works on numpy arrays; knows no torch."""
