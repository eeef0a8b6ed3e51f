"""Speculation under constraint: several tokens a forward pass, with the output of plain generation.

draft       `Draft` (a tree of expected tokens), and the protocols `Drafter`, `Session`
trim        what the constraint forbids is cut from a draft
passes      the target model over trees, and its cache
rules       verification rules: a token with the model's law that agrees with a draft as often as it can
verify      the walk along a draft; stopping, batches
processing  which processors there are, and whether rows may be processed one by one
spelling    text as tokens
forced      text that the constraint leaves no choice about
loop        draft, trim, pass, verify, commit
narrow      matrix products for few rows, chosen by measurement (`skinny`, `productcode`: ours)
compact     weights that were widened to float32, in their own precision (`packedcode`: how they are decoded)
lean        decoder layers in few calls (`layercode`), or in one (`whole`, `wholecode`)
costs       what a pass of n tokens costs, learnt
stats       what it cost and where tokens came from
"""
