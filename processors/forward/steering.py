"""`SteeringProcessor`: base of all methods that need forward passes of their own. See the package's docstring.

What the base class does, so that a method is a formula:

- It finds the generation that a call belongs to. `ProcessorList` announces new ones. Where nothing announces (own
  loops), a call goes on with a known generation if all its rows share that one's prompts, else it begins a new one:
  give each generation an object of its own to be sure.
- Banned tokens stay banned and the rest are float32 log-probabilities over the allowed ones, before the formula and
  after it (beams add them up). At least the best allowed token is left whatever the formula says.
- Rows with a single allowed token cost no pass; the passes catch up later in one call.
- Calls of an assistant with another tokenizer go through unchanged.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence

import numpy as np
import torch
from transformers import LogitsProcessor

from processors.callers import called_by_foreign_assistant
from processors.errors import GenerationError, UnsupportedGeneration
from processors.forward.passes import ForwardPass, PassState
from processors.forward.rows import Ids, Rows
from processors.stage import Stage

__all__ = ["Call", "Setting", "SteeringProcessor", "log_softmax_over"]

_REMEMBERED = 2  # generations of a thread whose caches are kept: interleaved loops on one object
_IN_ALL = 8


def log_softmax_over(logits: torch.Tensor, allowed: torch.Tensor) -> torch.Tensor:
    """Log-probabilities [rows, V] among the allowed tokens (bool [rows, V]), -inf elsewhere; float32 or wider.

    `logits` may be wider (cut) or narrower (what is missing has probability 0) than `allowed`.
    """
    return _over(logits, allowed.shape[1], _bias(allowed))


def _bias(allowed: torch.Tensor) -> torch.Tensor:
    """0 where allowed, -inf elsewhere: adding it bans in a third of the time of masked_fill on a CPU."""
    return torch.nn.functional.threshold(allowed.to(torch.float32), 0.5, float("-inf")) - 1


def _over(logits: torch.Tensor, width: int, bias: torch.Tensor | None) -> torch.Tensor:
    logits = logits[:, :width]
    if logits.dtype not in (torch.float32, torch.float64):
        logits = logits.float()
    if logits.shape[1] < width:
        logits = torch.nn.functional.pad(logits, (0, width - logits.shape[1]), value=float("-inf"))
    return (logits if bias is None else logits + bias).log_softmax(dim=-1)


class Setting:
    """A number for all rows, or one for each prompt of the batch."""

    def __init__(self, name: str, given: float | Sequence[float], low: float, high: float) -> None:
        values = [float(given)] if isinstance(given, int | float) else [float(value) for value in given]
        if not values or not all(low <= value <= high for value in values):
            raise GenerationError(f"{name}={given!r} is out of range", f"{name} is a number from {low} to {high}.")
        self.name, self.values = name, values

    @property
    def single(self) -> float | None:
        """The number, if it is the same for all."""
        return self.values[0] if len(set(self.values)) == 1 else None


class _Session:
    """One generation: its rows, the prompts they belong to, and the state of each pass."""

    def __init__(self, ids: Ids, start: int, width: int, prompts: int) -> None:
        self.rows = Rows(ids[:, :start], start, prompts)
        self.width = width
        self.thread = threading.get_ident()
        self.passes: dict[str, PassState] = {}


class Call:
    """One call of a processor, as a formula sees it: `ids` [rows, length], `allowed` bool [rows, V], `scores`."""

    def __init__(
        self, processor: SteeringProcessor, session: _Session, ids: Ids, scores: torch.Tensor, allowed: torch.Tensor
    ) -> None:
        self._processor, self._session = processor, session
        self.ids, self.scores, self.allowed = ids, scores, allowed
        self.bias = None if bool(allowed.all()) else _bias(allowed)  # what bans by being added; None: all are allowed

    @property
    def start(self) -> int:
        """Length of the prompt; ids[:, start:] has been generated."""
        return self._session.rows.start

    @property
    def rows(self) -> int:
        """Number of rows."""
        return int(self.ids.shape[0])

    @property
    def owner(self) -> Ids:
        """For each row the index of its prompt, among as many prompts as settings and second prompts tell of."""
        return self._session.rows.owner

    def state(self, name: str) -> PassState:
        """The running state of the pass `name`; it is at whatever ids it was asked for last."""
        return self._processor._state(self._session, name, self.ids)

    def logits(self, name: str) -> torch.Tensor:
        """Raw logits float32 [rows, V_of_that_model] of the pass `name`, on the scores' device."""
        return self.state(name).logits(self.ids).to(self.scores.device)

    def logprobs(self, name: str) -> torch.Tensor:
        """Log-probabilities [rows, V] of the pass `name` over the allowed tokens, -inf elsewhere."""
        return self.over_allowed(self.logits(name))

    def hidden(self, name: str) -> tuple[torch.Tensor, ...]:
        """Hidden states [rows, d], one for each of the pass's layers, on its model's device."""
        return self.state(name).hidden(self.ids)

    def over_allowed(self, logits: torch.Tensor) -> torch.Tensor:
        """Log-probabilities [rows, V] of any logits over the allowed tokens."""
        return _over(logits.to(self.scores.device), self.scores.shape[1], self.bias)

    def setting(self, setting: Setting) -> torch.Tensor:
        """A setting as [rows, 1], float32."""
        values = setting.values
        if len(values) == 1:
            return torch.full((self.rows, 1), values[0], device=self.scores.device)
        return torch.tensor([values[owner] for owner in self.owner.tolist()], device=self.scores.device)[:, None]


class SteeringProcessor(LogitsProcessor):
    """A logits processor with forward passes of its own, by name. Subclasses give `steer`, and `idle` if there is one.

    Called with input_ids int64 [rows, length] and scores [rows, V]; the result is a new tensor of the scores' type and
    device, or `scores` itself where there is nothing to do.

    Errors: `UnsupportedGeneration` for 1-D input_ids (continuous batching), `GenerationError` when the rows are no
    multiple of the second prompts or settings.
    """

    stage = Stage.EVIDENCE
    keeps_mass = False  # steered rows get the probability mass of their scores, for beams beside rows that are idle
    mask_transparent = True
    supports_continuous_batching = False

    def __init__(self, **passes: ForwardPass) -> None:
        self.passes = passes
        self._prompts = 1
        for each in passes.values():
            self._agree(each.prompts, "second prompts")
        self._sessions: list[_Session] = []  # the last used one first
        self._announced: set[int] = set()
        self._lock = threading.RLock()

    def steer(self, call: Call, logp: torch.Tensor) -> torch.Tensor:
        """New log-weights [rows, V] from logp [rows, V] (log-probabilities over the allowed, -inf elsewhere).

        Need not be normalised; what it says of banned tokens is ignored. NaN counts as banned.
        """
        raise NotImplementedError

    def idle(self, call: Call) -> torch.Tensor | bool:
        """Rows (bool [rows, 1]) whose scores are to stay as they are, bit for bit; or one answer for all rows."""
        return False

    def setting(
        self, name: str, given: float | Sequence[float], low: float = float("-inf"), high: float = float("inf")
    ) -> Setting:
        """A parameter: one number, or a sequence with one for each prompt of the batch."""
        found = Setting(name, given, low, high)
        self._agree(len(found.values), name)
        return found

    def _agree(self, count: int, what: str) -> None:
        if count != 1 and self._prompts not in (1, count):
            raise GenerationError(
                f"{count} {what}, but {self._prompts} of another kind",
                "Give one of each for every prompt of the batch.",
            )
        self._prompts = max(self._prompts, count)

    def announce(self) -> None:
        """The next call of this thread is the first of a new generation."""
        self._announced.add(threading.get_ident())

    @property
    def forwards(self) -> int:
        """Forward calls of all passes in the generations that are remembered."""
        return sum(state.forwards for session in self._sessions for state in session.passes.values())

    def prefetch(self, input_ids: torch.Tensor, new: int) -> None:
        """Run the passes over a draft, the last `new` ids of input_ids [rows, length], in one forward call each.

        For speculative loops: the calls for the draft's positions are then answered without a pass of their own.
        """
        with self._lock:
            ids = _as_array(input_ids)
            session = self._session(ids, None, ids.shape[1] - new)
            if session is not None:
                for name in (name for name, each in self.passes.items() if not each.spare):
                    self._state(session, name, ids).prefetch(ids)

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """Steered copy of `scores`."""
        if input_ids.dim() != 2 or scores.dim() != 2:
            raise UnsupportedGeneration(
                f"input_ids have shape {tuple(input_ids.shape)}: steering needs whole sequences [rows, length]",
                "Continuous batching (generate_batch, paged caches) shows only the last tokens: use plain generate().",
            )
        with self._lock:
            ids = _as_array(input_ids)
            session = self._session(ids, scores.shape[1], ids.shape[1])
            if session is None:
                return scores
            allowed = scores > float("-inf")
            call = Call(self, session, ids, scores, allowed)
            idle = self.idle(call)
            if idle is True:
                return scores
            return self._steer(call, idle)

    def _steer(self, call: Call, idle: torch.Tensor | bool) -> torch.Tensor:
        allowed, scores, banned = call.allowed, call.scores, float("-inf")
        counts = allowed.sum(dim=-1, keepdim=True)
        least = int(counts.min())
        logp = call.over_allowed(scores)
        out = logp
        if least > 1 or int(counts.max()) > 1:
            out = self.steer(call, logp)
            out = (out if call.bias is None else out + call.bias).nan_to_num(nan=banned, neginf=banned)
            kept = (out.amax(dim=-1, keepdim=True) == banned) | (counts <= 1)
            if bool(kept.any()):  # nothing is left, or there was no choice
                out = torch.where(kept, logp, out)
            out = out.log_softmax(dim=-1)
        if self.keeps_mass:
            weighed = scores if call.bias is None else scores + call.bias
            out = out + weighed.to(out.dtype).logsumexp(dim=-1, keepdim=True)
        out = out.to(scores.dtype)
        if least == 0:
            out = torch.where(counts == 0, scores, out)
        return out if idle is False else torch.where(torch.as_tensor(idle, device=scores.device), scores, out)

    def _state(self, session: _Session, name: str, ids: Ids) -> PassState:
        state = session.passes.get(name)
        if state is None:
            # Begun with the rows as they stand now, of which only the prompts count: a pass may be needed late.
            state = session.passes[name] = self.passes[name].begin(ids, session.rows.start, session.rows.owner)
        return state

    def _session(self, ids: Ids, width: int | None, start: int) -> _Session | None:
        """The generation that this call belongs to, moved to it; None for a call that is none of our business."""
        thread = threading.get_ident()
        if thread not in self._announced and (session := self._known(ids, width, thread)) is not None:
            session.rows.find(ids)
            session.rows.take(ids)
            session.thread = thread
            self._sessions.remove(session)
            self._sessions.insert(0, session)
            return session
        if called_by_foreign_assistant():
            return None
        session = _Session(ids, start, width or 0, self._prompts)
        session.rows.find(ids)
        session.rows.take(ids)
        self._announced.discard(thread)
        self._sessions.insert(0, session)
        own = [each for each in self._sessions if each.thread == thread][_REMEMBERED:]
        self._sessions = [each for each in self._sessions if each not in own][:_IN_ALL]
        return session

    def _known(self, ids: Ids, width: int | None, thread: int) -> _Session | None:
        """The generation that shares most with `ids`; of equals one of this thread, then the last used."""
        best, best_rank = None, (-1, False)
        for session in self._sessions:
            if width is None or session.width in (0, width):
                shared = session.rows.find(ids)
                if shared >= 0 and (rank := (shared, session.thread == thread)) > best_rank:
                    best, best_rank = session, rank
        if best is not None and width is not None:
            best.width = width
        return best


def _as_array(input_ids: torch.Tensor) -> Ids:
    array: Ids = np.ascontiguousarray(input_ids.cpu().numpy(), dtype=np.int64)
    return array
