"""Texts that are a part of another text, or another text with marks: the most probable one, found exactly.

teacher  log-probabilities of given continuations of one prompt, in batches that share the prompt's cache
extract  exact-extract: the most probable span of a passage, with the probability that the answer ends there
codec    CODEC: where the marks of a label go in a given text, by branch and bound
rerank   CODEC's second opinion: candidate spans by the way back and by their spelling

A constraint with sampling or greedy search (the substring and choice constraints) asks for the same texts, but decides
token by token; these compare whole texts by their probability under the free model.
"""
