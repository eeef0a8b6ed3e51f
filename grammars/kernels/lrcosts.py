"""Costs of LR parsers: the tables from which a stack knows how many tokens its shortest completion takes.

What is still to be written on a stack is the rest of some item of its top, then what follows where that item's rule is
complete, below. So a frame holds, for each kernel item of its state, the tokens from the item's end to the end of the
text (`lr._lr_cost`), and these follow from those of the frame below: an item that went on has the same; one that was
begun in between leads to an item below by completions that depend on the state below alone (`exits`).

All costs are matrices over classes of obligations (`automaton.lr_costs`): what a terminal takes depends on the
obligation that the one before it left. Costs add and the least counts, so matrices multiply as (min, +).
"""

from __future__ import annotations

from grammars.kernels.cache import inner, kernel
from grammars.kernels.frames import _context, _i4, _i32, _u1, _u8
from grammars.kernels.layout import *

NEVER = 1 << 29


@kernel
def terminal_tokens(address, states, local, labels, n_labels, first, before, dist, queue, work, tok, fuel):
    """Fewest tokens from each state of a terminal to each label: `tok` int32[n * n_labels], NEVER where there is no way.

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
        while lacking:  # the vocabulary cannot write the straight way: any way then, until nothing changes
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
    # single bytes first: they are a way at any rate
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
def solve_parser(lefts, starts, rights, term, by_left, rules_of, kernel_at, kernels, bases, nt, rest, place, out):
    """Costs of nonterminals, of the rest of each item, and the exits of each state; entries of `out` used, or needed.

    lefts int32[R]; starts int32[R + 2], rights: the symbols of rule r are rights[starts[r] : starts[r + 1]], the last
    rule starts everything. term int32[D, T, D]: tokens of a terminal after a class and before one.
    by_left int32[N + 1], rules_of: rules of each nonterminal. kernel_at int32[S + 1], kernels: the items of each state.
    bases int32[R + 1]: number of the first item of a rule. nt int32[N, D, D], rest int32[items, D, D]: NEVER before.
    place int32[S, N]: where the exits of (state, nonterminal) stand in `out`, [D, items of the kernel, D]; 0: none.
    """
    D = term.shape[0]
    n_rules, n_nt = lefts.size, nt.shape[0]
    n_all = n_rules + 1
    changed = True
    while changed:
        changed = False
        for r in range(n_all):
            size = starts[r + 1] - starts[r]
            base = bases[r]
            for c in range(D):
                rest[base + size, c, c] = 0
            for k in range(size - 1, -1, -1):
                symbol = rights[starts[r] + k]
                for c in range(D):
                    for between in range(D):
                        own = term[c, symbol, between] if symbol >= 0 else nt[-1 - symbol, c, between]
                        if own < NEVER:
                            for c2 in range(D):
                                cost = min(NEVER, own + rest[base + k + 1, between, c2])
                                if cost < rest[base + k, c, c2]:
                                    rest[base + k, c, c2] = cost
                                    changed = True
            if r < n_rules:
                for c in range(D):
                    for c2 in range(D):
                        if rest[base, c, c2] < nt[lefts[r], c, c2]:
                            nt[lefts[r], c, c2] = rest[base, c, c2]
                            changed = True
    used = 1
    member = place[0] * 0
    queue = place[0] * 0
    for s in range(kernel_at.size - 1):
        low, high = kernel_at[s], kernel_at[s + 1]
        own = high - low
        for a in range(n_nt):
            member[a] = 0
        count = 0
        for k in range(low, high):
            symbol = _after_dot(kernels[k], bases, starts, rights)
            if symbol < 0 and member[-1 - symbol] == 0:
                member[-1 - symbol] = 1
                queue[count] = -1 - symbol
                count += 1
        done = 0
        while done < count:
            a = queue[done]
            done += 1
            for j in range(by_left[a], by_left[a + 1]):
                r = rules_of[j]
                if starts[r + 1] > starts[r] and rights[starts[r]] < 0:
                    b = -1 - rights[starts[r]]
                    if member[b] == 0:
                        member[b] = 1
                        queue[count] = b
                        count += 1
        size = D * own * D
        if used + count * size > out.size:
            used += count * size
            for rest_of in range(s + 1, kernel_at.size - 1):
                used += n_nt * D * (kernel_at[rest_of + 1] - kernel_at[rest_of]) * D
            return -used
        for i in range(count):
            place[s, queue[i]] = used + i * size
            for j in range(size):
                out[used + i * size + j] = NEVER
        for k in range(low, high):
            symbol = _after_dot(kernels[k], bases, starts, rights)
            if symbol < 0:
                at = place[s, -1 - symbol]
                for c in range(D):
                    for c2 in range(D):
                        here = at + (c * own + k - low) * D + c2
                        out[here] = min(out[here], rest[kernels[k] + 1, c, c2])
        changed = True
        while changed:
            changed = False
            for i in range(count):
                b = queue[i]
                for j in range(by_left[b], by_left[b + 1]):
                    r = rules_of[j]
                    if starts[r + 1] == starts[r] or rights[starts[r]] >= 0:
                        continue
                    at, after = place[s, -1 - rights[starts[r]]], place[s, b]
                    for c in range(D):
                        for between in range(D):
                            cost = rest[bases[r] + 1, c, between]
                            if cost < NEVER:
                                for x in range(own * D):
                                    whole = min(NEVER, cost + out[after + between * own * D + x])
                                    if whole < out[at + c * own * D + x]:
                                        out[at + c * own * D + x] = whole
                                        changed = True
        used += count * size
    return used


@inner
def _after_dot(item, bases, starts, rights):
    """The symbol after the dot of an item; 0 where it is complete, which is no nonterminal."""
    low, high = 0, bases.size - 1
    while low < high:
        middle = (low + high + 1) >> 1
        if bases[middle] <= item:
            low = middle
        else:
            high = middle - 1
    at = starts[low] + item - bases[low]
    return rights[at] if at < starts[low + 1] else 0
