"""The Triton kernel beside the definition, on a device or in Triton's interpreter, chosen before the import."""

from __future__ import annotations

import numpy as np
import torch

from processors.kernels.plain import apply_rows_plain

WIDTHS = [1, 31, 32, 33, 100, 4095, 4096, 4097, 33000, 128256]


def check(device: str, trials: int) -> None:
    from processors.kernels.gpu import apply_rows_triton

    random = np.random.default_rng(5)
    arrived = torch.zeros(4, dtype=torch.int32, device=device)
    for trial in range(trials):
        count, width = int(random.integers(1, 4)), int(random.choice(WIDTHS))
        words = int(random.choice([(width + 31) // 32, (width + 31) // 32 + 2, max(1, width // 64)]))
        dtype = [torch.float32, torch.float16, torch.bfloat16][trial % 3]
        scores = torch.from_numpy(random.normal(size=(count, width + 5))).to(dtype)[:, :width]
        scores[torch.from_numpy(random.random((count, width)) < random.choice([0.0, 0.3, 1.0]))] = float("-inf")
        scores[:, ::7] = random.choice([1.0, float("nan"), float("inf"), float("-inf")])
        rows = random.integers(-(2**31), 2**31, (count, words)).astype(np.int32)
        rows[random.random((count, words)) < 0.5] = 0
        if trial % 4 == 0:
            rows[0] = 0
        packed, untouched = torch.from_numpy(rows), torch.from_numpy(random.random(count) < 0.3)
        revived = torch.zeros(count, dtype=torch.int8, pin_memory=device == "cuda")
        flags = untouched.view(torch.int8).to(device)
        got = apply_rows_triton(scores.to(device), packed.to(device), flags, revived, arrived).cpu()
        assert not arrived.any(), trial
        expected, expected_revived = apply_rows_plain(scores, packed, untouched)
        kind = torch.int16 if scores.element_size() == 2 else torch.int32
        assert torch.equal(got.view(kind), expected.contiguous().view(kind)), (trial, width, words, dtype)
        assert torch.equal(revived.bool(), expected_revived), trial
