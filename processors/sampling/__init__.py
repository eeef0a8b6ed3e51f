"""Samplers that transformers has not: they see the final, constrained distribution.

following  feedback per sequence that follows the prefix: for samplers that learn from the token that was really chosen
mirostat   hold the mean surprise of the text at a target, in bits
momentum   resist tokens that would continue a repetition

Locally typical, min-p, eta, epsilon, top-p and top-k sampling are transformers' own (`generate(min_p=0.1)`, or
`guided.json(schema) + MinPLogitsWarper(0.1)`): nothing of them is written again here.
"""
