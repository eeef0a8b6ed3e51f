"""States of string patterns made without Python: subsets of the alternatives that a text can still be.

A pattern's term splits into *items*, alternatives that are no alternations themselves; a state of its automaton is a
set of them (Antimirov's partial derivatives, 1996), and what a character makes of a set is the union of what it makes
of the items. So Python derives each item once (`automaton.subsets`), and a kernel makes the states: `^.*a.{12}$` has 14
items and 2^13 states. A state of bytes is (layout, set): layout 0 lies between two characters, others are places within
a UTF-8 sequence or an escape; of those below which all leads to one set, the set is that target.

Tables of a pattern, int64, reached through its head (T_*); of an alphabet, through LA_*:
PLACES  [n, 2 + W]   layout, state of the store, the set
SLOTS   [H]          open addressing, by layout and set: number of the place + 1, 0: free
ITEMS   [items, 10]  IT_*: whether derived, moves, whether it may end, characters due; what `horizon.free` says of it
MOVES   [moves, 2]   classes of characters (mask), place of the target in SETS
FIRSTS  [layouts, 3] first class of bytes, how many (-1: not made yet), whether all below leads to one set
KINDS   [classes, 4] KIND_*; classes of characters below; layout if these lead to one set; layout if not
GROUPS  uint8 [layouts * 256]  class of each byte
CHARS   [groups]     classes of the characters of each group of bytes (`bytegroups`)

The reference is `regex.bytedfa.ByteDfa`, which makes the same automaton in plain Python.
"""

from __future__ import annotations

import numpy as np

from grammars.kernels.cache import inner, kernel
from grammars.kernels.frames import _context, _i32, _mix
from grammars.kernels.layout import *
from grammars.kernels.pointers import I64, _i4, _pointer8, _pointer32, _pointer64, carray

BITS = 62  # of a word of a set
T_SELF, T_OFF, T_COUNTS, T_ENDS, T_WORDS, T_N, T_ROOM, T_PLACES, T_SLOTS, T_MASK, T_ITEMS, T_MOVES = range(12)
T_SETS, T_MOVES_SIZE, T_SETS_SIZE, T_ANY, T_BIT, T_FINAL, T_CLASSES, T_LAYOUTS, T_SCRATCH, T_FULL = range(12, 22)
T_HEAD = 22
IT_READY, IT_MOVES, IT_COUNT, IT_ENDS, IT_DUE, IT_MASK, IT_MOST, IT_LEFT, IT_LAST, IT_BEYOND, IT_FIRST, IT_SIZE = range(
    12
)
LA_N, LA_GROUPS, LA_FIRSTS, LA_KINDS, LA_CLASSES, LA_CHARS, LA_COUNT, LA_ALLOWED, LA_ALWAYS, LA_NEVER, LA_HEAD = range(
    11
)
KIND_NONE, KIND_QUOTE, KIND_CHARACTER, KIND_PLACE = range(4)


@inner
def _ensure(ctx, q):
    """Whether the row of state q is there, made here if it can be."""
    if _i4(_i32(ctx, TRANS), 256 * q) != -2:
        return True
    origin = carray(_pointer64(ctx[ORIGIN]), (2 * q + 2,))
    if origin[2 * q] == 0:
        return False
    return _expand(ctx, q, origin[2 * q], origin[2 * q + 1])


@inner
def _expand(ctx, q, where, k):
    """Make the row of state q, place k of the pattern whose head is at `where`; False: something is lacking."""
    head = carray(_pointer64(where), (T_HEAD,))
    layouts = carray(_pointer64(head[T_LAYOUTS]), (LA_HEAD,))
    words = head[T_WORDS]
    at = (2 + words) * k + 2
    places = carray(_pointer64(head[T_PLACES]), ((2 + words) * head[T_ROOM],))
    layout = places[at - 2]
    firsts = carray(_pointer64(layouts[LA_FIRSTS]), (3 * layouts[LA_N],))
    first, classes, alike = firsts[3 * layout], firsts[3 * layout + 1], firsts[3 * layout + 2] != 0
    counts = carray(_pointer64(ctx[COUNTS]), (2,))
    if head[T_OFF] or classes < 0 or counts[0] + classes > counts[1] or head[T_N] + classes > head[T_ROOM]:
        return False
    # the set after a character of each class; behind them the target of each class of bytes
    scratch = carray(_pointer64(head[T_SCRATCH]), ((head[T_CLASSES] + 1) * words + 258,))
    targets = scratch[(head[T_CLASSES] + 1) * words :]
    if alike:
        for w in range(words):
            scratch[w] = places[at + w]
    elif not _derive(head, places, at, words, scratch):
        return False
    kinds = carray(_pointer64(layouts[LA_KINDS]), (4 * layouts[LA_CLASSES],))
    alive = False
    for j in range(classes):
        kind, below = kinds[4 * (first + j)], kinds[4 * (first + j) + 1]
        target = np.int64(-1)
        if kind == KIND_QUOTE:
            if _may_end(head, places, at, words):
                target = head[T_FINAL]
        elif kind == KIND_CHARACTER or (kind == KIND_PLACE and alike):
            c = np.int64(0)
            while not alike and not (below >> c) & 1:
                c += 1
            if _is_some(scratch, c * words, words):
                child = np.int64(0) if kind == KIND_CHARACTER else kinds[4 * (first + j) + 2]
                due = _due_of(head, scratch, c * words, words) + (1 if kind == KIND_PLACE else 0)
                target = _state_of(ctx, head, child, scratch, c * words, words, due)
        elif kind == KIND_PLACE:
            same, some, known = True, False, np.int64(-1)
            for c in range(head[T_CLASSES]):
                if (below >> c) & 1:
                    if known < 0:
                        known = np.int64(c)
                    for w in range(words):
                        same = same and scratch[c * words + w] == scratch[known * words + w]
                    some = some or _is_some(scratch, c * words, words)
            if some and same:
                due = 1 + _due_of(head, scratch, known * words, words)
                target = _state_of(ctx, head, kinds[4 * (first + j) + 2], scratch, known * words, words, due)
            elif some:
                due = np.int64(1) << 30
                for c in range(head[T_CLASSES]):
                    if (below >> c) & 1 and _is_some(scratch, c * words, words):
                        due = min(due, _due_of(head, scratch, c * words, words))
                # which classes are below is told by the layout, so `due` belongs to the place
                due = 1 + due if head[T_COUNTS] else np.int64(0)
                target = _state_of(ctx, head, kinds[4 * (first + j) + 3], places, at, words, due)
        targets[j] = target
        alive = alive or target >= 0
    info = carray(_pointer32(ctx[INFO]), (counts[1],))
    if not alive:
        info[q] |= FINAL
    elif layout == 0:
        _steady(ctx, head, layouts, places, at, words, scratch, q)
    trans = carray(_pointer32(ctx[TRANS]), (256 * counts[1],))
    groups = carray(_pointer8(layouts[LA_GROUPS]), (256 * layouts[LA_N],))
    for b in range(255, -1, -1):  # a reader asks the first word whether the row is there
        trans[256 * q + b] = targets[groups[256 * layout + b]]
    return True


@inner
def _is_some(sets, at, words):
    for w in range(words):
        if sets[at + w] != 0:
            return True
    return False


@inner
def _items_of(head):
    return carray(_pointer64(head[T_ITEMS]), (IT_SIZE * BITS * head[T_WORDS],))


@inner
def _derive(head, places, at, words, scratch):
    """Write the set after a character of each class; False: some item is not derived yet."""
    items = _items_of(head)
    moves = carray(_pointer64(head[T_MOVES]), (head[T_MOVES_SIZE],))
    sets = carray(_pointer64(head[T_SETS]), (head[T_SETS_SIZE],))
    classes = head[T_CLASSES]
    for k in range(classes * words):
        scratch[k] = 0
    for w in range(words):
        left, item = places[at + w], BITS * w
        while left != 0:
            if left & 1:
                if not items[IT_SIZE * item + IT_READY]:
                    return False
                first = items[IT_SIZE * item + IT_MOVES]
                for m in range(first, first + items[IT_SIZE * item + IT_COUNT]):
                    mask, source = moves[2 * m], moves[2 * m + 1]
                    c = np.int64(0)
                    while mask != 0:
                        if mask & 1:
                            for v in range(words):
                                scratch[c * words + v] |= sets[source + v]
                        mask >>= 1
                        c += 1
            left >>= 1
            item += 1
    word, bit = head[T_ANY], head[T_BIT]
    if word >= 0:
        # beside the item that any text may follow no other counts
        for c in range(classes):
            if scratch[c * words + word] & bit:
                for w in range(words):
                    scratch[c * words + w] = bit if w == word else np.int64(0)
    return True


@inner
def _may_end(head, sets, at, words):
    items = _items_of(head)
    for w in range(words):
        left, item = sets[at + w], BITS * w
        while left != 0:
            if left & 1 and items[IT_SIZE * item + IT_ENDS]:
                return True
            left >>= 1
            item += 1
    return False


@inner
def _due_of(head, sets, at, words):
    """Characters due before the nearest end, where they are counted."""
    if not head[T_COUNTS]:
        return np.int64(0)
    items, least = _items_of(head), np.int64(1) << 30
    for w in range(words):
        left, item = sets[at + w], BITS * w
        while left != 0:
            if left & 1:
                least = min(least, items[IT_SIZE * item + IT_DUE])
            left >>= 1
            item += 1
    return least


@inner
def _slot_of(head, layout, sets, at, words):
    """Where the number of a place stands in SLOTS, or, if it is new, would."""
    h = _mix(layout + 1, 7)
    for w in range(words):
        h = _mix(h, sets[at + w])
    slots = carray(_pointer64(head[T_SLOTS]), (head[T_MASK] + 1,))
    places = carray(_pointer64(head[T_PLACES]), ((2 + words) * head[T_ROOM],))
    slot = h & head[T_MASK]
    while slots[slot] != 0:
        known = (2 + words) * (slots[slot] - 1)
        same = places[known] == layout
        for w in range(words):
            same = same and places[known + 2 + w] == sets[at + w]
        if same:
            return slot
        slot = (slot + 1) & head[T_MASK]
    return slot


@inner
def _put_place(ctx, head, layout, sets, at, words, slot, q):
    """Enter a new place, whose state is q."""
    slots = carray(_pointer64(head[T_SLOTS]), (head[T_MASK] + 1,))
    places = carray(_pointer64(head[T_PLACES]), ((2 + words) * head[T_ROOM],))
    counts = carray(_pointer64(ctx[COUNTS]), (2,))
    origin = carray(_pointer64(ctx[ORIGIN]), (2 * counts[1],))
    k = head[T_N]
    head[T_N] = k + 1
    places[(2 + words) * k], places[(2 + words) * k + 1] = layout, q
    for w in range(words):
        places[(2 + words) * k + 2 + w] = sets[at + w]
    if origin[2 * q] == 0:
        origin[2 * q], origin[2 * q + 1] = head[T_SELF], k
    slots[slot] = k + 1


@inner
def _state_of(ctx, head, layout, sets, at, words, due):
    """The state of a place, added if it is new. due: characters that it needs, if that is kept."""
    slots = carray(_pointer64(head[T_SLOTS]), (head[T_MASK] + 1,))
    slot = _slot_of(head, layout, sets, at, words)
    if slots[slot] != 0:
        places = carray(_pointer64(head[T_PLACES]), ((2 + words) * head[T_ROOM],))
        return places[(2 + words) * (slots[slot] - 1) + 1]
    counts = carray(_pointer64(ctx[COUNTS]), (2,))
    q = counts[0]
    counts[0] = q + 1
    if layout == 0:
        info = carray(_pointer32(ctx[INFO]), (counts[1],))
        info[q] = BOUNDARY | (1 if head[T_ENDS] and _may_end(head, sets, at, words) else 0)
    if head[T_COUNTS]:
        need = carray(_pointer32(ctx[NEED]), (counts[1],))
        need[q] = due
    _put_place(ctx, head, layout, sets, at, words, slot, q)
    return q


@inner
def _steady(ctx, head, layouts, places, at, words, scratch, q):
    """Write what `ByteDfa.steady` says, from what it says of each item."""
    items = _items_of(head)
    counts = carray(_pointer64(ctx[COUNTS]), (2,))
    steady = carray(_pointer64(ctx[STEADY]), (6 * counts[1],))
    loops = np.int64(0)
    for c in range(head[T_CLASSES]):
        same = True
        for w in range(words):
            same = same and scratch[c * words + w] == places[at + w]
        if same:
            loops |= np.int64(1) << c
    if head[T_ENDS]:
        steady[6 * q] = np.int64(0) if _may_end(head, places, at, words) else _within(layouts, loops)
        return
    best, rank, others = np.int64(-1), np.int64(-1), np.int64(0)
    for w in range(words):
        left, item = places[at + w], BITS * w
        while left != 0:
            if left & 1:
                own = np.int64(64 if items[IT_SIZE * item + IT_MOST] >= 24 else 0)
                bits = items[IT_SIZE * item + IT_MASK]
                while bits != 0:
                    own += bits & 1
                    bits >>= 1
                if own > rank:
                    best, rank = IT_SIZE * item, own
            left >>= 1
            item += 1
    mask, last, beyond = items[best + IT_MASK], items[best + IT_LAST], items[best + IT_BEYOND]
    if mask & ~last:
        for w in range(words):
            left, item = places[at + w], BITS * w
            while left != 0:
                if left & 1 and IT_SIZE * item != best:
                    others |= items[IT_SIZE * item + IT_FIRST]
                left >>= 1
                item += 1
        beyond |= others
        last |= mask & others
    strict, never = mask & ~last, np.int64(0)
    if strict != 0:
        never = _within(layouts, head[T_FULL] & ~(mask | beyond)) | layouts[LA_NEVER]
    steady[6 * q], steady[6 * q + 1] = _within(layouts, loops), _within(layouts, mask)
    steady[6 * q + 2], steady[6 * q + 3] = items[best + IT_MOST], items[best + IT_LEFT]
    steady[6 * q + 4], steady[6 * q + 5] = _within(layouts, strict), never


@inner
def _within(layouts, mask):
    """Groups of bytes whose characters all lie in the classes of `mask`."""
    if mask == 0:
        return np.int64(0)
    chars = carray(_pointer64(layouts[LA_CHARS]), (layouts[LA_COUNT],))
    found = np.int64(0)
    for k in range(layouts[LA_COUNT]):
        if chars[k] & ~mask == 0:
            found |= np.int64(1) << k
    return found & layouts[LA_ALLOWED] | layouts[LA_ALWAYS]


@kernel
def expand(address, q):
    """Make the row of state q, and whatever states it names; 0: something is lacking, and nothing has changed."""
    return 1 if _ensure(_context(address), np.int64(q)) else 0


@kernel
def place_state(address, where, layout, sets: I64, q):
    """Enter state q, made elsewhere, for a layout and a set; the state that is known there, or q. q -1: only ask."""
    head = carray(_pointer64(where), (T_HEAD,))
    slots = carray(_pointer64(head[T_SLOTS]), (head[T_MASK] + 1,))
    words = head[T_WORDS]
    slot = _slot_of(head, layout, sets, 0, words)
    if slots[slot] != 0:
        places = carray(_pointer64(head[T_PLACES]), ((2 + words) * head[T_ROOM],))
        return places[(2 + words) * (slots[slot] - 1) + 1]
    if q >= 0:
        _put_place(_context(address), head, np.int64(layout), sets, 0, words, slot, np.int64(q))
    return q


@kernel
def rehash_places(where):
    """Fill SLOTS, which are empty, with all places."""
    head = carray(_pointer64(where), (T_HEAD,))
    words = head[T_WORDS]
    slots = carray(_pointer64(head[T_SLOTS]), (head[T_MASK] + 1,))
    places = carray(_pointer64(head[T_PLACES]), ((2 + words) * head[T_ROOM],))
    for k in range(head[T_N]):
        slots[_slot_of(head, places[(2 + words) * k], places, (2 + words) * k + 2, words)] = k + 1
    return 0
