"""Costs of LR parsers: the tables from which a stack knows how many tokens its shortest completion takes.

What is still to be written on a stack is the rest of some item of its top, then what follows where that item's rule is
complete, below. So a frame holds, for each kernel item of its state, the tokens from the item's end to the end of the
text (`lr._lr_cost`), and these follow from those of the frame below: an item that went on has the same; one that was
begun in between leads to an item below by completions that depend on the state below alone (`exits`).

All costs are matrices over classes of obligations (`automaton.lr_costs`): what a terminal takes depends on the
obligation that the one before it left. Costs add and the least counts, so matrices multiply as (min, +).
"""

from __future__ import annotations

import numpy as np

from grammars.kernels.cache import inner, kernel
from grammars.kernels.frames import _context, _i32, _u8
from grammars.kernels.layout import *
from grammars.kernels.pointers import I32, I64, _i4, _u1

NEVER = 1 << 29


@kernel
def terminal_tokens(
    address, states: I32, local: I32, labels: I32, n_labels, first: I32, before: I32, dist: I32, queue: I32, work: I64,
    tok: I32, fuel,
):  # fmt: skip
    """Fewest tokens from each state of a terminal to each label: `tok` int32[n * n_labels], NEVER where none does.

    states: int32[n] ids; local: int32, the place of an id in `states`, -1 for others; labels: int32[n], -1 where no
    text ends. first int32[n + 1], before: the states with a byte to each state. dist, queue: int32[n] scratch; work:
    int64 scratch of 3 words a byte of the longest token. A way goes straight to the end, byte by byte, wherever the
    vocabulary has tokens along it. `fuel`: steps for one state and label, then the best way so far counts.
    """
    ctx = _context(address)
    n = states.size
    for label in range(n_labels):
        for s in range(n):
            dist[s] = NEVER
        head, tail = 0, 0
        for s in range(n):
            if labels[s] == label:
                dist[s] = 0
                tok[s * n_labels + label] = 0
                queue[tail] = s
                tail += 1
        while head < tail:
            s = queue[head]
            head += 1
            for k in range(first[s], first[s + 1]):
                p = before[k]
                if dist[p] == NEVER:
                    dist[p] = dist[s] + 1
                    queue[tail] = p
                    tail += 1
        lacking = False
        for k in range(tail):
            s = queue[k]
            if dist[s] > 0:
                best = _fewest(ctx, s, label, n_labels, states, local, dist, tok, work, fuel, True)
                tok[s * n_labels + label] = best
                lacking = lacking or best >= NEVER
        while lacking:  # the vocabulary cannot write the straight way: any way then, until nothing more changes
            lacking = False
            for k in range(tail):
                s = queue[k]
                if dist[s] > 0:
                    best = _fewest(ctx, s, label, n_labels, states, local, dist, tok, work, fuel, False)
                    if best < tok[s * n_labels + label]:
                        tok[s * n_labels + label] = best
                        lacking = True
    return 0


@inner
def _fewest(ctx, s, label, n_labels, states, local, dist, tok, work, fuel, straight):
    """Fewest tokens from state s to the label, those of the states after it being known."""
    trans, tbyte, tend, ttok = _i32(ctx, TRANS), _u8(ctx, TBYTE), _i32(ctx, TEND), _i32(ctx, TTOK)
    best = NEVER
    depth = 0
    work[0], work[1], work[2] = 1, _i4(tend, 0), s
    left = fuel
    # single bytes first: they are a way, at any rate.
    i = 1
    while i < _i4(tend, 0):
        t = _i4(trans, states[s] * 256 + _u1(tbyte, i))
        t = local[t] if t >= 0 else -1
        if t >= 0 and _i4(ttok, i) >= 0 and (dist[t] == dist[s] - 1 or (not straight and dist[t] < NEVER)):
            best = min(best, 1 + tok[t * n_labels + label])
        i = _i4(tend, i)
    while depth >= 0 and left > 0 and best > 1:
        i = work[3 * depth]
        if i >= work[3 * depth + 1]:
            depth -= 1
            continue
        end = _i4(tend, i)
        work[3 * depth] = end
        at = work[3 * depth + 2]
        left -= 1
        t = _i4(trans, states[at] * 256 + _u1(tbyte, i))
        t = local[t] if t >= 0 else -1
        if t < 0 or (straight and dist[t] != dist[at] - 1) or dist[t] >= NEVER:
            continue
        if _i4(ttok, i) >= 0:
            best = min(best, 1 + tok[t * n_labels + label])
        if end > i + 1 and (dist[t] > 0 or not straight):
            depth += 1
            work[3 * depth], work[3 * depth + 1], work[3 * depth + 2] = i + 1, end, t
    return best


@kernel
def solve_parser(
    classes, lefts: I32, starts: I32, rights: I32, term: I32, by_left: I32, rules_of: I32, kernel_at: I32, kernels: I32,
    bases: I32, nt: I32, rest: I32, place: I32, work: I32, out: I32,
):  # fmt: skip
    """Costs of nonterminals, of the rest of each item, and the exits of each state; entries of `out` used, or needed
    as a negative number. All arrays are flat.

    lefts [R]; starts [R + 2], rights: the symbols of rule r are rights[starts[r] : starts[r + 1]], the last rule
    starts everything. term [D, T, D]: tokens of a terminal after a class and before one. by_left [N + 1], rules_of:
    rules of each nonterminal. kernel_at [S + 1], kernels: the items of each state. bases [R + 1]: number of the first
    item of a rule. nt [N, D, D], rest [items, D, D]: NEVER before. place [S, N]: where the exits of a state and a
    nonterminal stand in `out`, [D, items of the kernel, D]; 0: none. work [2, N].
    """
    n_nt = by_left.size - 1
    n_terminals = term.size // (classes * classes)
    _solve_rules(classes, lefts, starts, rights, term, n_terminals, bases, nt, rest)
    used = np.int64(1)
    for s in range(kernel_at.size - 1):
        low, high = np.int64(kernel_at[s]), np.int64(kernel_at[s + 1])
        own = high - low
        count = _within(s, low, high, starts, rights, by_left, rules_of, kernels, bases, n_nt, work)
        size = classes * own * classes
        if used + count * size > out.size:
            used += count * size
            for later in range(s + 1, kernel_at.size - 1):
                used += n_nt * classes * (kernel_at[later + 1] - kernel_at[later]) * classes
            return -used
        for i in range(count):
            place[s * n_nt + work[n_nt + i]] = used + i * size
            for j in range(size):
                out[used + i * size + j] = NEVER
        for k in range(low, high):
            symbol = _after_dot(np.int64(kernels[k]), bases, starts, rights)
            if symbol < 0:
                at = np.int64(place[s * n_nt - 1 - symbol])
                for c in range(classes):
                    for c2 in range(classes):
                        here = at + (c * own + k - low) * classes + c2
                        cost = np.int64(rest[((kernels[k] + 1) * classes + c) * classes + c2])
                        out[here] = min(np.int64(out[here]), cost)
        changed = True
        while changed:
            changed = False
            for i in range(count):
                b = np.int64(work[n_nt + i])
                for j in range(by_left[b], by_left[b + 1]):
                    r = np.int64(rules_of[j])
                    if starts[r + 1] > starts[r] and rights[starts[r]] < 0:
                        at = np.int64(place[s * n_nt - 1 - rights[starts[r]]])
                        after = np.int64(place[s * n_nt + b])
                        if _leave_by(classes, own, (bases[r] + 1) * classes * classes, at, after, rest, out):
                            changed = True
        used += count * size
    return used


@inner
def _solve_rules(classes, lefts, starts, rights, term, n_terminals, bases, nt, rest):
    """The least costs of nonterminals and of the rests of rules: lowered until nothing changes."""
    changed = True
    while changed:
        changed = False
        for r in range(lefts.size + 1):
            size = np.int64(starts[r + 1]) - starts[r]
            base = np.int64(bases[r])
            for c in range(classes):
                rest[((base + size) * classes + c) * classes + c] = 0
            for back in range(size):
                k = size - 1 - back
                symbol = np.int64(rights[starts[r] + k])
                for c in range(classes):
                    for between in range(classes):
                        if symbol >= 0:
                            own = np.int64(term[(c * n_terminals + symbol) * classes + between])
                        else:
                            own = np.int64(nt[((-1 - symbol) * classes + c) * classes + between])
                        if own < NEVER:
                            for c2 in range(classes):
                                cost = own + rest[((base + k + 1) * classes + between) * classes + c2]
                                here = ((base + k) * classes + c) * classes + c2
                                if cost < rest[here]:
                                    rest[here] = cost
                                    changed = True
            if r < lefts.size:
                for x in range(classes * classes):
                    cost = np.int64(rest[base * classes * classes + x])
                    here = lefts[r] * classes * classes + x
                    if cost < nt[here]:
                        nt[here] = cost
                        changed = True


@inner
def _within(s, low, high, starts, rights, by_left, rules_of, kernels, bases, n_nt, work):
    """The nonterminals that may begin in a state, to the second half of `work`; their number."""
    for a in range(n_nt):
        work[a] = 0
    count = np.int64(0)
    for k in range(low, high):
        symbol = _after_dot(np.int64(kernels[k]), bases, starts, rights)
        if symbol < 0 and work[-1 - symbol] == 0:
            work[-1 - symbol] = 1
            work[n_nt + count] = -1 - symbol
            count += 1
    done = np.int64(0)
    while done < count:
        a = np.int64(work[n_nt + done])
        done += 1
        for j in range(by_left[a], by_left[a + 1]):
            r = np.int64(rules_of[j])
            if starts[r + 1] > starts[r] and rights[starts[r]] < 0:
                b = np.int64(-1 - rights[starts[r]])
                if work[b] == 0:
                    work[b] = 1
                    work[n_nt + count] = b
                    count += 1
    return count


@inner
def _leave_by(classes, own, base, at, after, rest, out):
    """Lower the exits of a rule's first symbol by the rest of the rule and the exits of its nonterminal."""
    changed = False
    for c in range(classes):
        for between in range(classes):
            cost = np.int64(rest[base + c * classes + between])
            if cost < NEVER:
                for x in range(own * classes):
                    whole = cost + out[after + between * own * classes + x]
                    here = at + c * own * classes + x
                    if whole < out[here]:
                        out[here] = whole
                        changed = True
    return changed


@inner
def _after_dot(item, bases, starts, rights):
    """The symbol after the dot of an item; 0 where it is complete, which is no nonterminal."""
    low, high = np.int64(0), bases.size - 1
    while low < high:
        middle = (low + high + 1) >> 1
        if bases[middle] <= item:
            low = middle
        else:
            high = middle - 1
    at = starts[low] + item - bases[low]
    found = np.int64(0)
    if at < starts[low + 1]:
        found = np.int64(rights[at])
    return found
