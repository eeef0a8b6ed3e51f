"""Items that must differ: hashes of finished values, and what of an unfinished one may still become new.

A matcher keeps its text (TXT), so a finished item is hashed from there: strings by code point, numbers by their
decimal value (1 is 1.0 is 1e0), objects whatever the order of their keys. The hashes of an array's items hang in a list
at its frame (F_X): hash, next, hash of the list, its length, first and last place in the text. Different values with
equal hashes (one pair in 2^64) would count as equal. `grammars.automaton.hashes` has the same hash of a Python value.

Where the text is not known (a merged trie stands for many tokens) the item's hash is UNKNOWN; what depends on it sets
M_CHECK, and the tokens concerned are tried out one by one at the end (`masks`).
"""

from __future__ import annotations

import numpy as np

from grammars.kernels.cache import inner, kernel
from grammars.kernels.frames import _alloc, _context, _copy_frame, _i32, _i64, _mix, _note, _refresh_array
from grammars.kernels.layout import *
from grammars.kernels.pointers import _i4, _pointer8, _u1, carray
from grammars.kernels.spelling import _escape, _hex

FARTHEST = 1_000_000_000  # exponents beyond are all alike
MARGIN = 512  # room behind the text for what would close it

# ---------------------------------------------------------------------------------------------------- hashes of values


@inner
def _four_digits(txt, at):
    return (_hex(_u1(txt, at)) << 12) | (_hex(_u1(txt, at + 1)) << 8) | (_hex(_u1(txt, at + 2)) << 4) | _hex(
        _u1(txt, at + 3)
    )  # fmt: skip


@inner
def _string_hash(txt, at, end):
    """Hash of the string whose content begins at `at`, and the place after its closing quote."""
    h = _mix(SEED, V_STRING)
    while at < end:
        b = _u1(txt, at)
        at += 1
        if b == 34:
            break
        if b == 92:
            code = _u1(txt, at)
            at += 1
            if code == 117:
                code = _four_digits(txt, at)
                at += 4
                if 0xD800 <= code < 0xDC00 and _u1(txt, at) == 92:
                    code = 0x10000 + ((code - 0xD800) << 10) + (_four_digits(txt, at + 2) - 0xDC00)
                    at += 6
            else:
                code = _escape(code)
        elif b < 128:
            code = b
        else:
            more = 1 if b < 0xE0 else 2 if b < 0xF0 else 3
            code = b & (0x3F >> more)
            for _ in range(more):
                code = (code << 6) | (_u1(txt, at) & 63)
                at += 1
        h = _mix(h, code + 1)
    return h, at


@inner
def _mantissa_hash(txt, at, end):
    """Hash of the digits from `at` on, what to add to an exponent behind them, and the place after them."""
    negative = _u1(txt, at) == 45
    if negative:
        at += 1
    first, last, point = np.int64(-1), np.int64(-1), np.int64(-1)
    while at < end:
        b = _u1(txt, at)
        if b == 46:
            point = at
        elif 48 <= b <= 57:
            if b != 48:
                last = at
                if first < 0:
                    first = at
        else:
            break
        at += 1
    if first < 0:
        return _mix(SEED, V_ZERO), np.int64(0), at
    h = _mix(SEED, V_NUMBER + (1000 if negative else 0))
    for k in range(first, last + 1):
        if k != point:
            h = _mix(h, _u1(txt, k))
    shift = np.int64(0)
    if point < 0:
        shift = at - 1 - last
    elif last < point:
        shift = point - 1 - last
    else:
        shift = point - last
    return h, shift, at


@inner
def _number_hash(txt, at, end):
    """Hash of the number that begins at `at`, by its value, and the place after it."""
    h, shift, at = _mantissa_hash(txt, at, end)
    exponent = np.int64(0)
    if at < end and (_u1(txt, at) | 32) == 101:
        at += 1
        minus = _u1(txt, at) == 45
        if minus or _u1(txt, at) == 43:
            at += 1
        while at < end and 48 <= _u1(txt, at) <= 57:
            exponent = min(np.int64(FARTHEST), exponent * 10 + _u1(txt, at) - 48)
            at += 1
        if minus:
            exponent = -exponent
    if h == _mix(SEED, V_ZERO):
        return h, at
    return _mix(h, exponent + shift), at


@inner
def _plus(one, other):
    """Sum that wraps around."""
    return np.int64(np.uint64(one) + np.uint64(other))


@inner
def _value_hash(ctx, mat, at, end):
    """Hash of the JSON value in the text [at, end)."""
    txt = ctx[TXT]
    bottom = mat[M_TOP] + 64  # open containers, above the arena's top: hash so far, hash of the key or -1 for arrays
    sp = bottom
    while at < end:
        b = _u1(txt, at)
        value = np.int64(0)
        if b <= 32 or b == 44 or b == 58:
            at += 1
            continue
        if b == 123 or b == 91:
            if sp + 66 > mat.size:
                mat[M_STATUS] = GROW_MAT
                return np.int64(0)
            mat[sp] = _mix(SEED, V_OBJECT if b == 123 else V_ARRAY)
            mat[sp + 1] = 0 if b == 123 else -1
            sp += 2
            at += 1
            continue
        if b == 34:
            value, at = _string_hash(txt, at + 1, end)
            if sp > bottom and mat[sp - 1] == 0:
                mat[sp - 1] = value
                continue
        elif b == 125 or b == 93:
            sp -= 2
            value = _mix(mat[sp], V_PAIR)
            at += 1
        elif b == 110:
            value, at = _mix(SEED, V_NULL), at + 4
        elif b == 116:
            value, at = _mix(SEED, V_TRUE), at + 4
        elif b == 102:
            value, at = _mix(SEED, V_FALSE), at + 5
        else:
            value, at = _number_hash(txt, at, end)
        if sp == bottom:
            return value
        if mat[sp - 1] == -1:
            mat[sp - 2] = _mix(mat[sp - 2], value)
        else:
            mat[sp - 2] = _plus(mat[sp - 2], _mix(mat[sp - 1], value))
            mat[sp - 1] = 0
    return np.int64(0)


@kernel
def hash_text(address, size):
    """Hash of the JSON value that stands in the first `size` bytes of the text (for tests)."""
    ctx = _context(address)
    return _value_hash(ctx, _i64(ctx, MAT), np.int64(0), np.int64(size))


# ------------------------------------------------------------------------------------------------------ items of arrays


@inner
def _with_item(ctx, mat, f):
    """The array frame f after its open item was finished; -1 if that item was there before, or cannot be known."""
    known = mat[f + F_START] >= mat[M_HOLE]
    h = np.int64(UNKNOWN)
    if known:
        h = _value_hash(ctx, mat, mat[f + F_START], mat[M_POS])
        if mat[M_STATUS] != OK:
            return np.int64(-1)
    first = mat[f + F_X]
    if first != 0:
        mat[M_VOLATILE] = 1
        if not known and mat[M_TRUST] != f:
            mat[M_CHECK] = 1
            return np.int64(-1)
    x = first
    while x != 0 and known:
        if mat[x] == UNKNOWN:
            mat[M_CHECK] = 1
            return np.int64(-1)
        if mat[x] == h:
            return np.int64(-1)
        x = mat[x + 1]
    g = _copy_frame(ctx, mat, f)
    x = _alloc(mat, 6)
    if mat[M_STATUS] != OK:
        return np.int64(-1)
    mat[x] = h
    mat[x + 1] = first
    mat[x + 2] = _mix(mat[first + 2] if first != 0 else 0, h)
    mat[x + 3] = mat[first + 3] + 1 if first != 0 else 1
    mat[x + 4] = mat[f + F_START]
    mat[x + 5] = mat[M_POS]
    mat[g + F_X] = x
    mat[g + F_START] = -1
    _refresh_array(ctx, mat, g)
    return g


@inner
def _is_used(mat, f, h):
    x = mat[f + F_X]
    while x != 0:
        if mat[x] == h:
            return True
        x = mat[x + 1]
    return False


@inner
def _repeats(ctx, mat, f):
    """Whether the value of frame f, which can only be closed, will be an item that its array has already.

    That is known now if all frames between can only be closed as well.
    """
    u = mat[f + F_WITHIN]
    _note(mat, u, 2)
    if mat[u + F_X] == 0:
        return False
    closers = mat[M_POS]
    text = carray(_pointer8(ctx[TXT]), (ctx[TXT + 64],))
    p = f
    while p != u:
        if mat[p + F_KIND] != K_CALL:
            if mat[p + F_FLAGS] & ADD:
                return False
            if closers >= ctx[TXT + 64]:
                mat[M_STATUS] = GROW_TXT
                return False
            text[closers] = 125 if mat[p + F_KIND] == K_OBJ else 93
            closers += 1
        p = mat[p + F_PARENT]
    mat[M_VOLATILE] = 1
    if mat[u + F_START] < mat[M_HOLE]:
        mat[M_CHECK] = 1
        return True
    return _is_used(mat, u, _value_hash(ctx, mat, mat[u + F_START], closers))


@inner
def _exponent_alive(ctx, mat, f, s):
    """Whether the number in array frame f, in state s of its terminal, can become one that f does not have.

    Asked where any spelling counts. Digits can be added as long as one likes, up to an exponent: it has three.
    """
    _note(mat, f, 2)
    start, pos = mat[f + F_START], mat[M_POS]
    if mat[f + F_X] == 0 or start < mat[M_HOLE]:
        return True
    txt, trans, info = ctx[TXT], _i32(ctx, TRANS), _i32(ctx, INFO)
    while start < pos and _u1(txt, start) <= 32:
        start += 1
    if start >= pos or (_u1(txt, start) != 45 and not 48 <= _u1(txt, start) <= 57):
        return True
    mark = start
    while mark < pos and (_u1(txt, mark) | 32) != 101:
        mark += 1
    if mark >= pos:
        return True
    mat[M_VOLATILE] = 1
    h, shift, _ = _mantissa_hash(txt, start, mark)
    if h == _mix(SEED, V_ZERO):
        return not _is_used(mat, f, h)
    levels = mat[M_TOP] + 64  # above the arena's top: state, next choice, sign and magnitude of the exponent
    if levels + 64 > mat.size:
        mat[M_STATUS] = GROW_MAT
        return True
    sign, value = np.int64(1), np.int64(0)
    for k in range(mark + 1, pos):
        b = _u1(txt, k)
        if b == 45:
            sign = np.int64(-1)
        elif b != 43:
            value = min(np.int64(FARTHEST), value * 10 + b - 48)
    if (_i4(info, s) & LABEL) != 0 and not _is_used(mat, f, _mix(h, sign * value + shift)):
        return True
    mat[levels], mat[levels + 1], mat[levels + 2], mat[levels + 3] = s, 0, sign, value
    depth = 0
    while depth >= 0:
        at = levels + 4 * depth
        q, k = mat[at], mat[at + 1]
        if _i4(trans, 256 * q) == -2:
            ctx[OUT0] = q
            mat[M_STATUS] = NEED_ROW
            return True
        if k == 12:
            depth -= 1
            continue
        mat[at + 1] = k + 1
        t = _i4(trans, 256 * q + (48 + k if k < 10 else 43 if k == 10 else 45))
        if t < 0:
            continue
        sign, value = mat[at + 2], mat[at + 3]
        if k == 11:
            sign = np.int64(-1)
        elif k < 10:
            value = value * 10 + k
        if (_i4(info, t) & LABEL) != 0 and not _is_used(mat, f, _mix(h, sign * value + shift)):
            return True
        if not _i4(info, t) & FINAL:
            depth += 1
            if depth == 8:
                return True
            at += 4
            mat[at], mat[at + 1], mat[at + 2], mat[at + 3] = t, 0, sign, value
    return False


@inner
def _is_fresh(ctx, mat, f, k):
    """Whether the value with the hash WHASH[k] is no item yet of the array frame f."""
    _note(mat, f, 2)
    if mat[f + F_X] == 0:
        return True
    mat[M_VOLATILE] = 1
    return not _is_used(mat, f, _i64(ctx, WHASH)[k])


@inner
def _word_alive(ctx, mat, f, s):
    """Whether literal trie state s leads to a value that is no item yet of the array frame f."""
    _note(mat, f, 2)
    if mat[f + F_X] == 0:
        return True
    mat[M_VOLATILE] = 1
    st, words, hashes = _i32(ctx, ST), _i32(ctx, WORDS), _i64(ctx, WHASH)
    low, high = _i4(st, 6 * s + 3), _i4(st, 6 * s + 4)
    total = np.int64(0)
    for w in range(low, high):
        if _i4(words, 2 * w + 1) == 0:
            return True
        total += _i4(words, 2 * w + 1)
        if total > mat[mat[f + F_X] + 3]:
            return True
    for w in range(low, high):
        for k in range(_i4(words, 2 * w), _i4(words, 2 * w) + _i4(words, 2 * w + 1)):
            if not _is_used(mat, f, hashes[k]):
                return True
    return False


@inner
def _step_terminal(ctx, n, q, c, b):
    """One byte in the terminal of node n: its state (-1: it cannot come, -2: the row is not computed), the characters
    so far (of counted strings, up to what matters), and whether the terminal may end there."""
    s = _i4(_i32(ctx, TRANS), q * 256 + b)
    if s < 0:
        return s, c, False
    word = _i4(_i32(ctx, INFO), s)
    k = _i4(_i32(ctx, NODE), 4 * n + 3)
    ends = (word & LABEL) != 0
    if k >= 0:
        bounds = _i32(ctx, BOUNDS)
        low, high = _i4(bounds, k), _i4(bounds, k + 1)
        if not word & FINAL:
            if word & BOUNDARY:
                c += 1
            if high >= 0 and c + _i4(_i32(ctx, NEED), s) > high:
                return np.int64(-1), c, False
            if high < 0 and c > low:
                c = low
        ends = ends and c >= low
        if word & FINAL and not ends:
            return np.int64(-1), c, False
    return s, c, ends


@inner
def _prefix_of(txt, x, mat, start, end):
    """Whether the used item at x begins with the text [start, end)."""
    length = end - start
    if mat[x + 5] - mat[x + 4] < length:
        return False
    for i in range(length):
        if _u1(txt, mat[x + 4] + i) != _u1(txt, start + i):
            return False
    return True


@inner
def _term_alive(ctx, mat, f, n, s, c):
    """Whether the item that stands in state s of a terminal can become one that the array frame f does not have.

    Canonical spelling: an item that was there before was spelled with the same bytes. So the item is new as soon as
    it leaves the spellings of the others; only along those has one to look.
    """
    _note(mat, f, 2)
    first = mat[f + F_X]
    if first == 0:
        return True
    mat[M_VOLATILE] = 1
    start, pos = mat[f + F_START], mat[M_POS]
    if start < mat[M_HOLE]:
        return True
    txt = ctx[TXT]
    info = _i32(ctx, INFO)
    shared = False
    x = first
    while x != 0:
        if _prefix_of(txt, x, mat, start, pos):
            shared = True
            if _new_along(ctx, mat, first, x, n, s, c, start, pos, txt, info):
                return True
        x = mat[x + 1]
    return not shared


@inner
def _new_along(ctx, mat, first, x, n, s, c, start, pos, txt, info):
    """Whether, following the spelling of the used item at x, the item can leave those of all used ones, or end."""
    begin, end = mat[x + 4], mat[x + 5]
    at = begin + pos - start
    while True:
        for b in range(256):
            following, _, _ = _step_terminal(ctx, n, s, c, np.int64(b))
            if following == -2:
                ctx[OUT0] = s
                mat[M_STATUS] = NEED_ROW
                return True
            if following >= 0 and not (at < end and b == _u1(txt, at)) and not _goes_on(mat, txt, first, begin, at, b):
                return True
        if at >= end:
            return False
        s, c, ends = _step_terminal(ctx, n, s, c, _u1(txt, at))
        if s < 0:
            return False
        at += 1
        if ends and not _goes_on(mat, txt, first, begin, at, -1):
            return True
        if _i4(info, s) & FINAL:
            return False


@inner
def _goes_on(mat, txt, first, begin, at, b):
    """Whether a used item begins with the text [begin, at) and goes on with byte b (-1: ends there)."""
    length = at - begin
    y = first
    while y != 0:
        own = mat[y + 5] - mat[y + 4]
        fits = own == length if b < 0 else own > length and _u1(txt, mat[y + 4] + length) == b
        if fits and _prefix_of(txt, y, mat, begin, at):
            return True
        y = mat[y + 1]
    return False
