"""Extra forward passes for processors that steer: other prompts, other models, other layers, with caches of their own.

prompt     `Prompt`: the ids that another pass sees instead of, or before, what is generated
rows       `Rows`: which known sequence each row of a call goes on from
passes     `ForwardPass` (what to run) and `PassState` (its cache in one generation)
lens       `LogitLens`: logits of an inner layer
tap        `LayerTap`: inner layers read from the pass that `generate` makes
steering   `SteeringProcessor`: the base class; a method is a formula of a few lines

How to write a method. Say which passes it needs, and give a formula on log-probabilities:

    class CAD(SteeringProcessor):
        def __init__(self, model, without_context, *, alpha=0.5):
            super().__init__(null=ForwardPass(model, without_context))
            self.alpha = self.setting("alpha", alpha)          # a number, or one for each prompt of the batch

        def steer(self, call, logp):                           # logp [rows, V] float32, -inf where banned
            null = call.logprobs("null")                       # the pass's, over the same allowed tokens
            return logp + call.setting(self.alpha) * (logp - null)

The base class finds out where a generation began, keeps the passes' caches in step with beams, rollbacks and skipped
steps, gives banned tokens back as -inf and the rest as log-probabilities, and spends no pass on rows with one choice.
"""

from __future__ import annotations

from processors.forward.lens import LogitLens
from processors.forward.passes import Fork, ForwardPass, PassState
from processors.forward.prompt import Prompt
from processors.forward.rows import Rows
from processors.forward.steering import Call, Setting, SteeringProcessor, log_softmax_over

__all__ = [
    "Call",
    "Fork",
    "ForwardPass",
    "LogitLens",
    "PassState",
    "Prompt",
    "Rows",
    "Setting",
    "SteeringProcessor",
    "log_softmax_over",
]
