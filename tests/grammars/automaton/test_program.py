"""Programs: interned nodes, literal tries, blocks, lazy parts; and a program built by hand that calls a part."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from grammars import Grammar, Matcher
from grammars.automaton.program import Program, Word
from grammars.automaton.terminals import TableTerminal, TerminalStore
from grammars.kernels.layout import OP_ALT, OP_CALL, OP_DONE, OP_LAZY, OP_TERM
from grammars.kernels.reference import Reference
from tests.grammars.kernels.walking import mask_of
from tests.strategies.grammars import byte_vocabulary, unpacked

BYTES = byte_vocabulary()


def node(program: Program, n: int) -> list[int]:
    return list(program.node.data[4 * n : 4 * n + 4].tolist())


def test_equal_nodes_are_one() -> None:
    program = Program(TerminalStore())
    assert program.add(OP_TERM, 3, 1) == program.add(OP_TERM, 3, 1)
    assert program.add(OP_TERM, 3, 1) != program.add(OP_TERM, 3, 2)
    assert program.fresh(OP_TERM, 3, 1) != program.fresh(OP_TERM, 3, 1)
    assert program.terminal(3, 1, (0, 5, 1)) == program.terminal(3, 1, (0, 5, 1))
    assert program.terminal(3, 1, (0, 5, 1)) != program.terminal(3, 1, (0, None, 1))


def test_choices_of_one_are_that_one() -> None:
    program = Program(TerminalStore())
    assert program.choice([program.done, program.done]) == program.done
    both = program.choice([program.done, program.end, program.done])
    op, first, count, _ = node(program, both)
    assert op == OP_ALT
    assert program.alts.data[first : first + count].tolist() == [program.done, program.end]


def test_a_lazy_node_becomes_what_it_stands_for() -> None:
    program = Program(TerminalStore())
    lazy = program.fresh(OP_LAZY, 7)
    block = program.block((program.done, lazy))
    assert node(program, block)[0] == OP_DONE
    assert node(program, block + 1)[0] == OP_ALT, "a copy of a lazy node would never be lowered"
    program.become(lazy, program.terminal(5, program.done))
    assert node(program, lazy)[:3] == [OP_TERM, 5, program.done]


@given(
    st.sets(st.text("abcd\u20ac\ud800\U0001f600", max_size=4), min_size=1, max_size=12),
    st.sampled_from(["characters", "bytes", "with flags"]),
    st.integers(0, 50),
)
def test_tries_hold_their_words(texts: set[str], kind: str, number: int) -> None:
    program = Program(TerminalStore())
    program.trie([(b"x", 0, b"\1\0")])  # another trie before it
    words: list[Word] = []
    for text in sorted(texts):
        spelled = text.encode("utf-8", "surrogatepass")
        flags = bytes(i == len(spelled) or spelled[i] & 0xC0 != 0x80 for i in range(len(spelled) + 1))
        words.append((text if kind == "characters" else spelled, 0, flags if kind == "with flags" else None))
    words.sort(key=lambda word: word[0])
    words = [(word[0], 10 + i, word[2]) for i, word in enumerate(words)]
    root = program.trie(words, number)
    for spelling, payload, inside in words:
        s, low, high = root, number, number + len(words)
        symbols = [ord(c) for c in spelling] if isinstance(spelling, str) else list(spelling)
        for depth, symbol in enumerate((*symbols, -1)):
            first, edges, found, state_low, state_high, flag = program.st.data[6 * s : 6 * s + 6].tolist()
            assert low <= state_low <= payload - 10 + number < state_high <= high
            low, high = state_low, state_high
            assert flag >> 1 == depth and flag & 1 == (1 if inside is None else inside[depth])
            pairs = program.edge.data[2 * first : 2 * (first + edges)].reshape(-1, 2).tolist()
            assert [byte for byte, _ in pairs] == sorted({byte for byte, _ in pairs})
            if symbol < 0:
                assert found == payload
            else:
                s = dict(pairs)[symbol]


def test_called_parts_return_to_their_callers() -> None:
    """One part, a number in brackets of any depth, called from two places: (1)-((1))."""
    store = TerminalStore()
    program = Program(store)

    def mark(text: str, following: int) -> int:
        edges = [{byte: i + 1} for i, byte in enumerate(text.encode())] + [{}]
        return program.terminal(store.start_of(TableTerminal(text, edges, {len(text): 0})), following)

    part = program.fresh(OP_LAZY)
    again = program.add(OP_CALL, part, mark(")", program.done))
    program.become(part, program.choice([mark("1", program.done), mark("(", again)]))
    second = program.add(OP_CALL, part, program.end)
    program.roots.extend((*([program.end] * 17), program.add(OP_CALL, part, mark("-", second))))
    grammar = Grammar(program, {"kind": "hand", "source": ""})

    def accepts(text: bytes) -> bool:
        matcher = Matcher(grammar, BYTES)
        return matcher.accept_bytes(text) and matcher.is_accepting()

    for a in range(4):
        for b in range(4):
            text = b"(" * a + b"1" + b")" * a + b"-" + b"(" * b + b"1" + b")" * b
            assert accepts(text)
            assert not accepts(text + b")") and not accepts(text[:-1])
            assert not accepts(text.replace(b"-", b")-")) and not accepts(b"(" + text)
    matcher, machine = Matcher(grammar, BYTES), Reference(program)
    for byte in b"(((1)))-((1))":
        state = machine.run(machine.start(), b"(((1)))-((1))"[: matcher.n_tokens])
        expected = machine.mask(state, [bytes((i,)) for i in range(256)] + [b""], (256,))
        assert unpacked(mask_of(matcher))[:257].tolist() == expected
        assert matcher.accept(byte)
