"""Alignment while decoding: the best allowed tokens are re-weighted by what they lead to.

reward        rewards of texts: any callable, or a classification model
rollout       continuations of each candidate by a policy, within the constraint if there is one
under         what a constraint hands to this stage: a cursor for each row, to go on from freely
transfer_q    `TransferQ` (rollouts, direct and indirect), `Args` (no rollout), `ValueGuided` (a learned value)

All of them are one formula, pi(z) ~ pi_ref(z) * exp(Q(s, z) / alpha) on the best k allowed tokens; they differ in Q.
"""
