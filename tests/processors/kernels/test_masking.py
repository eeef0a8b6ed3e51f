"""All backends give the bits that the definition gives, never touch their input, and never reuse what is in use."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given

from processors.kernels import EMPTY, MASKED, REVIVED, Masker
from tests.strategies.logits import DTYPES, scores_and_rows, unpack

BACKENDS = ["numba", "plain"]  # the Triton kernel: at the end of this file, in its interpreter


def bits(scores: torch.Tensor) -> Any:
    kind = {2: torch.int16, 4: torch.int32, 8: torch.int64}[scores.element_size()]
    return scores.contiguous().view(kind)


def by_definition(scores: torch.Tensor, rows: Any, untouched: list[bool]) -> tuple[torch.Tensor, list[int]]:
    """Token by token, and the state of each row."""
    out, states = scores.clone(), []
    allowed = unpack(rows, scores.shape[1])
    for r in range(scores.shape[0]):
        if untouched[r]:
            states.append(MASKED)
            continue
        alive = any(allowed[r, t] and scores[r, t].item() != float("-inf") for t in range(scores.shape[1]))
        states.append(MASKED if alive else REVIVED if allowed[r].any() else EMPTY)
        for t in range(scores.shape[1]):
            if not allowed[r, t]:
                out[r, t] = float("-inf")
            elif not alive:
                out[r, t] = 0.0
    return out, states


def masker_for(scores: torch.Tensor, rows: Any, untouched: list[bool], backend: str) -> Masker:
    masker = Masker(scores.shape[0], scores.shape[1], rows.shape[1], untouched=untouched, backend=backend)
    masker.rows[:, : rows.shape[1]] = rows
    return masker


@pytest.mark.parametrize("backend", BACKENDS)
@given(case=scores_and_rows())
def test_bits_are_those_of_the_definition(backend: str, case: Any) -> None:
    scores, rows, untouched = case
    before = scores.clone()
    expected, states = by_definition(scores, rows, untouched)
    masker = masker_for(scores, rows, untouched, backend)
    out, worst = masker.apply(scores)
    assert torch.equal(bits(out), bits(expected))
    assert torch.equal(bits(scores), bits(before))
    assert out.data_ptr() != scores.data_ptr()
    if backend == "numba":
        assert worst == max(states) and masker.states() == states
    else:
        assert (worst == EMPTY) == (EMPTY in states)
        assert (masker.apply(scores)[1] != MASKED) == (max(states) != MASKED)


@pytest.mark.parametrize("dtype", DTYPES)
def test_strided_scores(dtype: torch.dtype) -> None:
    """Assisted decoding passes a slice [:, i, :] of [1, k + 1, V]; batches of such slices are not contiguous."""
    whole = torch.randn(3, 4, 100).to(dtype)
    rows = np.full((3, 4), 0x55555555, dtype=np.int32)
    for backend in BACKENDS:
        scores = whole[:, 2, :]
        out, _ = masker_for(scores, rows, [False] * 3, backend).apply(scores)
        assert torch.equal(out, by_definition(scores, rows, [False] * 3)[0])


def test_a_result_that_is_held_is_not_overwritten() -> None:
    """`output_scores=True` keeps each step's result; a view or an array of it counts as well."""
    masker = Masker(1, 64, 2)
    masker.rows[:] = -1
    kept = [masker.apply(torch.full((1, 64), float(step)))[0] for step in range(4)]
    views = [masker.apply(torch.full((1, 64), float(step)))[0][0, 3:5] for step in range(4)]
    arrays = [masker.apply(torch.full((1, 64), float(step)))[0].numpy() for step in range(4)]
    for step in range(4):
        assert (kept[step] == step).all() and (views[step] == step).all() and (arrays[step] == step).all()


def test_a_result_that_is_dropped_is_used_again() -> None:
    masker = Masker(1, 64, 2)
    masker.rows[:] = -1
    places = set()
    for step in range(8):
        out, _ = masker.apply(torch.full((1, 64), float(step)))
        places.add(out.data_ptr())
        del out
    assert len(places) == 1


def test_gradients_pass_through_allowed_tokens() -> None:
    scores = torch.randn(1, 40, requires_grad=True)
    masker = Masker(1, 40, 2)
    masker.rows[:] = 0b1011
    out, _ = masker.apply(scores)
    out[0, [0, 1, 3]].sum().backward()
    assert scores.grad is not None and scores.grad.nonzero()[:, 1].tolist() == [0, 1, 3]


TRITON_CASES = """
import processors.kernels.gpu as gpu
from tests.processors.kernels.triton_cases import check
check('cpu', 40)
gpu.BLOCK = 16  # more stretches than are counted: they become longer
check('cpu', 12)
print('same bits')
"""


def test_triton_kernel_in_its_interpreter() -> None:
    """The interpreter is chosen by the environment before Triton is imported, hence a process of its own."""
    pytest.importorskip("triton", reason="the Triton kernel needs `pip install triton`")
    environment = {**os.environ, "TRITON_INTERPRET": "1", "PYTHONPATH": str(Path(__file__).resolve().parents[3])}
    done = subprocess.run(
        [sys.executable, "-c", TRITON_CASES], capture_output=True, text=True, env=environment, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "same bits" in done.stdout


COMPILED = """
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from processors.kernels.gpu import BLOCK, WARPS, _mask_rows
for scores in ("*fp32", "*fp16", "*bf16"):
    signature = {"scores": scores, "rows": "*i32", "untouched": "*i8", "out": scores, "revived": "*i8",
                 "arrived": "*i32", "width": "i32", "words": "i32", "scores_stride": "i64", "BLOCK": "constexpr"}
    source = ASTSource(fn=_mask_rows, signature=signature, constexprs={"BLOCK": BLOCK})
    made = triton.compile(source, target=GPUTarget("cuda", 90, 32), options={"num_warps": WARPS})
    ptx = made.asm["ptx"]
    word = ptx.index("atom.")
    assert "st.global" in ptx[:word] and "bar.sync" in ptx[ptx.index("st.global"):word], "what is written lies before"
print("compiled")
"""


def test_triton_kernel_compiles_for_a_gpu() -> None:
    """The interpreter takes more than the compiler, which needs no GPU."""
    pytest.importorskip("triton", reason="the Triton kernel needs `pip install triton`")
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[3])}
    environment.pop("TRITON_INTERPRET", None)
    command = [sys.executable, "-c", COMPILED]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    assert "compiled" in done.stdout
