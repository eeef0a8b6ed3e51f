"""The machine: configurations stepped by bytes, and the masks that follow from them.

Where it sits: below `grammars.matcher` (which owns the arrays and answers NEED codes), above nothing. It knows bytes,
nodes and frames; it does not know schemas or tokenizers. `machine_reference` is the same machine in plain Python.

The one idea: a state is a small set of configurations (terminal state, control node, frame). Frames are immutable
records in an append-only arena (the matcher's own), so a rollback truncates and nothing is interned. A mask is
remembered under a hash of exactly what computing it looked at: the configurations, and as many enclosing frames, as
closely (flags only, or in full), as the walk needed. Different stacks share a row when they must give the same one.

Configuration: 5 words (q, n, f, c, d)
    q >= 0    state of a dense terminal (row of `trans`);  q < 0: state -q-1 of a literal trie
    n         control node that started the terminal (0 for literal tries: their leaves name the continuation)
    f         frame: offset in the arena
    c         dense: characters so far (counted strings);  keys: trie state + 1, decoding phase and digits
    d         keys: hash of the key so far
Arrays are reached through `ctx`, an int64 vector of addresses (slots below) with lengths at +64: one integer crosses
the Python border, about 0.2 us a call. All int32 but where said.

slot    array     shape      meaning
TRANS   trans     [Q*256]    next terminal state; -1 dead; -2 row not computed yet (NEED_ROW)
INFO    info      [Q]        low 16 bits: label + 1 (0: not accepting); BOUNDARY, FINAL bits
NODE    node      [N*4]      control nodes: op, a, b, c
ALTS    alts      [.]        targets of OP_ALT
ST      st        [S*6]      literal trie states: first edge, edges, continuation or property, lo, hi, boundary
EDGE    edge      [E*2]      symbol (byte, or code point under free spelling), target state; symbols ascend
OSPEC   ospec     [.]        object tables (O_* offsets);   ASPEC: array tables (A_* offsets)
BOUNDS  bounds    [.]        pairs lo, hi of counted strings (hi -1: none)
ROOTS   roots     [17]       nodes: object first/next and array first/next by flags (4 each)
TBYTE.. vocabulary trie in preorder (see `grammars.vocabulary`)
T1KEY   t1key     [H] int64  hash of (q, lo, hi, limit), 0: free;  T1VAL int64: entry
TIER1   number    [1] int64  generation of tier 1: another than S_TIER1 says that arrays were replaced
ENTRY   entry     [E*8] int64  address of the row, first frontier item, items with children (these first), all items,
                             first root and number of roots in ROOT1 (of each label)
FRONT   front     [F*2]      trie node where the terminal accepts, label
ROOT1   root1     [.*2]      label, node in the merged tries (<= UNMERGED: that less a node of the vocabulary;
                             else < 0: -1 - a node under a lexer);  those, in
                             preorder: MBYTE uint8, MEND, MTOK [.*2]:
                             first entry and number of entries in MLIST, the tokens
TMP     row       [W]        scratch row;  MAT, SCR int64: the matcher's arena and scratch;  ROOM int64: R_* counters
NEED    need      [Q]        characters due before an end, of terminals that are counted (others: 0)
STEADY  steady    [Q*6] int64  groups of bytes that leave the state as it is; such that any of so many characters live
                             and can end with so many more; such that no longer text lives; that never follow these
REACH   reach     [.*3]      of tier 1: characters that any token needs at most; that end a terminal at most, and 1;
                             a state of the same masks (-1 each: not known)
TSIG    tsig      [N] int64  groups of bytes (`bytegroups`) in the path from here down;  TCHARS uint8: characters on
                             the path to a node (bytes that begin one);  TMOST uint8: the most of any node below
TOKSIG  toksig    [32 W] int64  groups of the bytes of a token, -1: of no text;  TOKCHARS uint8: its characters
GROUP   group     [256] uint8  group of a byte, see `bytegroups`
VNODE   vnode     [N + 2, 4] of a trie node: where its children begin in VKIDS, its TEND, TTOK and TDUP of that
VKIDS   vkids     [N]        children of trie nodes, those of a node ascending: byte << 24 | node
TNEXT   tnext     [N + 1]    first node from here on, in preorder, below which are groups not in S_USUAL; N: none
DIST    dist      [Q*3]      bytes to the nearest state of label 0, and of a higher label; bound for all later states
NCOST   ncost     [N]        tokens from a node to the end of its value;  STCOST: the same for literal trie states
KSUF    ksuf      [.]        tokens from each place in a key to the end of its closing quote
LRCOST  lrcost    [.]        costs of LR parsers: place of each parser's, then LC_* tables
TOKAT   tokat     [Q]        place in TOKENDS of a terminal state of a parser, 0: not measured
TOKENDS tokends   [.]        of a state: labels, tokens from any later state to an end at most, then (label, tokens)
ORIGIN  origin    [Q*2] int64  of states that kernels can expand: address of their pattern's head, place (see `subsets`)
COUNTS  counts    [2] int64  states of the store, and how many there is room for
SEEN    seen      [2*512] int64  distances of configurations found in this walk: keys, then values
WANTS   wants     [.] int64  how many needs a walk under a parser has met; of each the status, OUT0.. and S_LEX0..
CLOSED  closed    [.] int64  what follows the ends of tokens in this walk (see `parsed`)
MKEY    mkey      [M] int64  memo keys, 0: free;  MVAL int64: address of a row (+ SHORT), or DEEPER
"""

from __future__ import annotations

# --- context slots: addresses, lengths at +64
TRANS, INFO, NODE, ALTS, ST, EDGE, OSPEC, ASPEC, BOUNDS, ROOTS = range(10)
TBYTE, TEND, TTOK, TDUP, TPAR, ROOTC, TOKOFF, TOKBYTE, EOS = range(10, 19)
T1KEY, T1VAL, ENTRY, FRONT, MKEY, MVAL = range(19, 25)
MAT, SCR, TMP, DIST, STCOST, NCOST, KSUF, ROOM, ROOT1, MBYTE, MEND, MTOK, MLIST = range(25, 38)
TXT, TESTS, WHASH, WORDS, TIER1 = range(49, 54)
# --- context slots: scalars
S_WORDS, S_ANY, S_LONGEST, S_FUEL, S_COSTED = range(40, 45)
REACH, STEADY, TSIG = 38, 39, 63
NEED, TCHARS, TMOST = range(104, 107)  # addresses without a length
S_UNIQUE, S_TIER1 = 54, 55  # some array of the grammar has unique items; the generation of tier 1 that is known here
OUT0, OUT1, OUT2, OUT3 = range(45, 49)
LR, LEXKEY, LEXVAL = 56, 57, 58  # tables of LR parsers; nodes by context, obligation and terminals that can come
LRCOST, TOKAT, TOKENDS, SEEN, WANTS = range(107, 112)  # addresses without a length
TOKCHARS, GROUP = 119, 120  # addresses without a length
CLOSED, S_PARSED = 112, 118  # an address without a length; whether the program is a parser and nothing else
S_LEX0 = 59  # up to 62: the terminals that NEED_LEX asks about
VNODE, VKIDS, ORIGIN, COUNTS, TNEXT, TOKSIG = range(128, 134)  # addresses without a length
S_USUAL = 134  # groups of bytes: see TNEXT
CONTEXT = 135

# --- words of the ROOM array, shared by the matchers of a grammar
R_NEXT, R_ROWS, R_MEMO, R_SPARE, R_LEFT = range(5)  # R_SPARE: where the next short row goes, R_LEFT words of it
R_BUSY, R_TURN = 5, 6  # 1 while somebody computes a mask or changes what masks are made of; how many were computed

# --- status codes: negative, so that offsets and counts can share the return value
OK = 0
DEAD, NEED_NODE, NEED_ROW, GROW_MAT, GROW_SCR, NEED_T1, NEED_ROOM, OUT_OF_FUEL, GROW_TXT = range(-1, -10, -1)
NEED_LEX, NEED_MANY, BUSY = -10, -11, -12
MOST_WANTS, WANT = 64, 9  # how many needs of a walk are listed before it stops; words of one

# --- control nodes
(OP_END, OP_TERM, OP_TRIE, OP_ALT, OP_OBJ, OP_ARR, OP_DONE, OP_POP, OP_KEY, OP_ITEM, OP_LAZY, OP_DTRIE, OP_CALL) = (
    range(13)
)
OP_PAY, OP_FRESH = 13, 14
OP_PARSE, OP_LEX, OP_SHIFT = 15, 16, 17  # of LR parsers: begin one, read a terminal, take it (see `lr`)
BOUNDARY, FINAL = 1 << 16, 1 << 17
LABEL = 0xFFFF
DEEPER = 1
SHORT = 2  # of a memo value: the row is a list of its words that are not 0

# --- arena header and frames
M_TOP, M_CUR, M_MARK, M_LOOK, M_LEVEL, M_VOLATILE, M_STATUS, M_ACC, M_FUEL, M_EXACT = range(10)
M_POS, M_HOLE, M_CHECK, M_TRUST, M_TESTS, M_NEED, M_FRESH, M_PRICED = range(10, 18)
M_TOUCHED, M_TURN = 18, 19  # how many words of a row a walk wrote to, -1: many; which of R_TURN the last mask was
M_FIRST = 20
F_KIND, F_SPEC, F_PARENT, F_LEVEL, F_COUNT, F_H1, F_H2, F_FLAGS, F_A, F_B, F_X, F_COST, F_MISS = range(13)
F_DUTY, F_START, F_WITHIN = range(13, 16)
F_MORE, F_AROUND, F_BITS = range(16, 19)  # other frames around it; hash of all that is around it
K_ROOT, K_OBJ, K_ARR, K_CALL, K_LR = range(5)
CLOSE, ADD, OPEN = 1, 2, 4

# --- object tables: header, then per property in name order, then per declared position
O_N, O_WORDS, O_TRIE, O_FLAGS, O_Q, O_OTHER, O_MIN, O_MAX, O_REQ, O_EXTRACOST, O_FILLCOST, O_LABELS = range(12)
O_DUTIES, O_NEED, O_ENDS, O_HEAD = range(12, 16)  # O_ENDS: whether TOKENDS knows the terminal of undeclared keys
OF_ANY, OF_OPEN, OF_FINAL = 1, 2, 4  # OF_FINAL: a declared name may be spelled by an undeclared key that ends there
P_VALUE, P_POS, P_REQ, P_COST, P_PERM, P_LIMIT, P_AFTER, P_USABLE, P_SUFFIX, P_VCOST = range(10)
A_PREFIX, A_ITEMS, A_MIN, A_MAX, A_COST, A_FLAGS, A_STATES, A_SLACK, A_HEAD = range(9)
AF_UNIQUE, AF_STATES = 1, 2
AS_CLOSES, AS_EDGES, AS_COST, AS_ITEMCOST, AS_HEAD = range(
    5
)  # a state of an item automaton, then (node, next state) pairs

# --- LR tables: header, then what it points to
L_STATES, L_TERMINALS, L_NONTERMINALS, L_WORDS, L_START = range(5)
L_ACT, L_GOTO, L_RULES, L_SHIFTS, L_REDS, L_CONTEXT, L_KERNELS, L_CLASSES, L_NUMBER = range(5, 14)
L_HEAD = 14
# --- costs of an LR parser: header, then what it points to (see `lrcosts`)
LC_DUTIES, LC_DUTY, LC_REST, LC_EXITS, LC_END, LC_TOTAL, LC_HEAD = range(7)

# --- what follows the ends of tokens in a walk under a parser (see `parsed`)
C_WALK, C_COUNT, C_USED, C_KEPT, C_HEAD = range(5)
C_SET, C_SLOTS, C_SIZE, LACKING = 6, 1024, 1 << 15, -1

CFG = 5
E_POS, E_LEVEL, E_KEYS, E_SIZE = 0, 1, 2, 5  # what stands behind the configurations of a state, see `keys`
MOST_AROUND = 200  # frames that an object may stand in at once, see `frames._joined`
MOST_CONFIGURATIONS = 4096  # of one state: more are refused rather than stepped for seconds
ADDRESS_BITS, RISE_UNKNOWN = 48, 0x7FFF  # a memo value: address of the row, and above it how much its tokens may need
RISE_CLOSER = 0x7F00  # and above, by `look`: that depends on frames beyond those the row depends on (see `masks`)
UNMERGED = -(1 << 30)  # and below: nodes of the vocabulary instead of merged tries
LAST = 1 << 15  # in the low bound of a tier-1 key: no text follows the terminal
NO_LIMIT, UNFIT = -2, -3  # how far from its end a token may leave a terminal (see `distance`)
RESERVE = 8  # tokens kept back in an item that may turn out to be a repetition, to make it another one
UNKNOWN = 1  # hash of an undeclared key, or of an item, that is not known yet
SEED = 0x1F83D9ABFB41BD6B  # of the hashes of values, mixed with what the value is
(V_STRING, V_NUMBER, V_ARRAY, V_OBJECT, V_PAIR, V_ZERO, V_NULL, V_FALSE, V_TRUE) = range(101, 110)
WORK = 1024  # words at the start of the scratch array: work list of the closure
CORRECTED = 512  # words after it: trie nodes whose tokens a declared key decides, or a row's words that are not 0
X_BEGUN = WORK + CORRECTED  # the greatest table of the objects begun since M_FRESH
X_SET, X_SIZE, X_SEEN = X_BEGUN + 1, X_BEGUN + 2, X_BEGUN + 3  # of the set that is grown: place, size, and 64 bits
SEEN_WORDS = 32  # in so many words, see `step._emit`
FEW = 16  # configurations that are compared one by one
LEVELS = X_SEEN + SEEN_WORDS  # then words by levels, of which there are S_LONGEST + 2, then configurations
# --- words of a level of the walk; as many follow for the walk along declared keys, within which others begin (there
# W_BASE is the place in the key), and one for a byte of the path to a node
W_BASE, W_COUNT, W_END, W_TOP, W_KIDS, W_BITS, W_SIZE = 0, 1, 2, 3, 4, 5, 9
W_UNSEEN, W_EVERY, W_DONE = -1, -2, -3  # of W_KIDS: what may follow was not looked at; is much; was one and is done
LEVEL_WORDS = 2 * W_SIZE + 1
