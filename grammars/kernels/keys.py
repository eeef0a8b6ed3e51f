"""What a remembered mask is entered under: hashes of a state as a walk has seen it, closely or less so.

A state is hashed when the matcher comes to it, while its frames are in the processor's cache: `fill` finds three keys
in its record, whatever the number of configurations, and touches no frame where the mask is known.
"""

from __future__ import annotations

import numpy as np

from grammars.kernels.cache import inner
from grammars.kernels.frames import _due, _i32, _mix, _reach
from grammars.kernels.layout import *
from grammars.kernels.pointers import _i4


@inner
def _place_hash(ctx, mat, at, level):
    """Hash of one configuration without its frames, but for how deep the innermost lies."""
    q, n, c = mat[at], mat[at + 1], mat[at + 3]
    alike = _reach(ctx, q, 2) if q >= 0 else np.int64(-1)
    h = _mix(1, (alike if alike >= 0 else q) << 32 | n)
    if q >= 0:
        node = _i32(ctx, NODE)
        k = _i4(node, 4 * n + 3) if _i4(node, 4 * n) == OP_TERM else -1
        if k >= 0:
            bounds = _i32(ctx, BOUNDS)
            low, high = _i4(bounds, k) - c, _i4(bounds, k + 1)
            low, high = _due(ctx, q, low, high - c if high >= 0 else high, ctx[S_LONGEST])
            c = (low << 32) + high + 2
        h = _mix(h, c)
    return _mix(h, level - mat[mat[at + 2] + F_LEVEL])


@inner
def _memo_key(ctx, mat, configurations, count, acc, level, look):
    """Hash of a state as seen by a walk that looks at `look`: 2*depth+1 flags, 2*depth+2 all of a frame."""
    h = _mix(_mix(0, count * 2 + acc + 1), look)  # apart: xor alone lets (1, look 2) meet (2, look 1)
    at = configurations
    for _ in range(count):
        f = mat[at + 2]
        depth = level - mat[f + F_LEVEL]
        around = h
        h = _place_hash(ctx, mat, at, level)  # of each by itself: several at once
        while True:
            if 2 * depth + 2 <= look:
                h = _mix(h, mat[f + F_H2])
            elif 2 * depth + 1 <= look:
                h = _mix(h, mat[f + F_H1])
            else:
                break
            if mat[f + F_KIND] == K_ROOT:
                break
            depth += 1
            if mat[f + F_MORE] != 0:  # several frames around: all that is around them, if anything of it
                if 2 * depth + 1 <= look:
                    h = _mix(h, mat[f + F_AROUND])
                break
            f = mat[f + F_PARENT]
        h = _mix(around, h)
        at += CFG
    return _filled(h)


@inner
def _hash_state(ctx, mat, configurations, count, acc):
    """Write how deep the deepest frame lies and `_memo_key` of looks 0 to 2 behind the configurations."""
    level = np.int64(0)
    for i in range(count):
        level = max(level, mat[mat[configurations + CFG * i + 2] + F_LEVEL])
    h = _mix(0, count * 2 + acc + 1)
    zero, one, two = _mix(h, 0), _mix(h, 1), _mix(h, 2)
    at = configurations
    for _ in range(count):
        h = _place_hash(ctx, mat, at, level)
        f = mat[at + 2]
        inmost = mat[f + F_LEVEL] == level
        zero = _mix(zero, h)
        one = _mix(one, _mix(h, mat[f + F_H1]) if inmost else h)
        two = _mix(two, _mix(h, mat[f + F_H2]) if inmost else h)
        at += CFG
    mat[at + E_LEVEL] = level
    mat[at + E_KEYS], mat[at + E_KEYS + 1], mat[at + E_KEYS + 2] = _filled(zero), _filled(one), _filled(two)


@inner
def _filled(h):
    return h if h != 0 else np.int64(1)


@inner
def _key(ctx, mat, configurations, count, acc, look):
    """`_memo_key`, read from the state's record where it is there."""
    end = configurations + CFG * count
    if look < 3:
        return mat[end + E_KEYS + look]
    return _memo_key(ctx, mat, configurations, count, acc, mat[end + E_LEVEL], look)
