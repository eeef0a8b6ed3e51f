"""Lowering of `schema_ir` unions to a program: scalars to terminals and literal tries, objects and arrays to tables.

A part is lowered when a kernel first reaches it; the first parts, up to a fuel, right away, since a crossing costs
more than a small table.
"""

from __future__ import annotations

import json
from dataclasses import replace
from json.encoder import encode_basestring
from typing import Any

from grammars import numbers
from grammars.automaton.hashes import hash_value
from grammars.automaton.program import Program, Word
from grammars.automaton.punctuation import punctuation
from grammars.automaton.terminals import TerminalStore
from grammars.errors import BudgetExceeded, UnsupportedSchema
from grammars.kernels.layout import (
    AF_STATES,
    AS_HEAD,
    K_ARR,
    K_OBJ,
    OF_ANY,
    OF_FINAL,
    OF_OPEN,
    OP_ARR,
    OP_DTRIE,
    OP_FRESH,
    OP_ITEM,
    OP_LAZY,
    OP_OBJ,
    OP_PAY,
    OP_TERM,
    RESERVE,
)
from grammars.regex import ByteDfa, CharDfa, Regex, char_dfa
from grammars.regex.chardfa import start_term
from grammars.regex.charset import Charset, from_chars, intersect, narrowest
from grammars.regex.horizon import ENDLESS, longest
from grammars.schema_ir import (
    Alternative,
    ArrayValue,
    Choice,
    LiteralValue,
    NumberValue,
    ObjectValue,
    PatternProperty,
    Property,
    Ref,
    SchemaSource,
    StringValue,
    Union,
)

__all__ = ["JsonLowering"]

_EAGER = 256
_MOST_WORDS = 300
_MOST_CONTAINERS = 512  # objects and arrays that one value may be: each is followed until it differs from the text
_NEVER_PAID = 1 << 20
NEVER = 1 << 29  # cost of an item automaton's state that is not worked out yet


def canonical(text: str) -> bytes | None:
    """Content of a string as json.dumps prints it, without quotes; None where it has no UTF-8 form."""
    try:
        return encode_basestring(text)[1:-1].encode()
    except UnicodeEncodeError:
        return None


_RAW: Charset = ((0x20, 0x21), (0x23, 0x5B), (0x5D, 0xD7FF), (0xE000, 0x10FFFF))
_SHORT_ESCAPES = from_chars('"\\\b\f\n\r\t')


def _narrowest(charset: Charset) -> int:
    """Bytes of the shortest character within a JSON string."""
    raw = narrowest(plain) if (plain := intersect(charset, _RAW)) else 6
    return min(raw, 2) if intersect(charset, _SHORT_ESCAPES) else raw


class JsonLowering:
    """Fills a `Program` from a `SchemaSource`: one of its own, or, as one part of several, a given one (`document`)."""

    def __init__(
        self,
        source: SchemaSource,
        store: TerminalStore,
        *,
        property_order: str,
        whitespace: str,
        spelling: str,
        program: Program | None = None,
        part: int = -1,
        literals: str = "json",
    ) -> None:
        self.source = source
        self.any_order = property_order == "any"
        self.free = spelling == "any"
        self._python = literals == "python"  # True, False and None
        self.encoding = "json_any" if self.free else "json"
        self._part = part  # written to lazy nodes, so that their program knows whom to ask
        whole = program is None
        if program is None:
            program = Program(store, free_spelling=self.free)
            program.expand = self.expand
        self.program = program
        self.store = store
        self._nodes: dict[tuple[Ref, bool], int] = {}
        self._pending: list[tuple[Ref, bool]] = []
        marks = punctuation(store, whitespace)
        self.marks = marks
        end = program.end if marks.blanks is None else program.terminal(marks.blanks, program.end)
        item = program.add(OP_ITEM)
        after_object = program.block((program.pop, program.key))
        after_array = program.block((program.pop, item))
        roots = [program.terminal(q, after_object) for q in (*marks.object_first, *marks.object_next)]
        roots += [program.terminal(q, after_array) for q in (*marks.array_first, *marks.array_next)]
        self.any_string = store.start_of(_any_string(self.encoding))
        root = self.node_of(source.root)
        if whole:
            if marks.blanks is not None:
                root = program.terminal(marks.blanks, program.block((root,)))
            program.roots.extend((*roots, end, root))
        elif not program.roots.n:
            program.roots.extend((*roots, program.end, program.end))
        for ref, unique in self._pending:  # grows while it is walked
            if len(self._nodes) > _EAGER:
                break
            self._lower(ref, unique)
        self._pending.clear()

    def document(self, following: int) -> int:
        """A node that reads a document, with the blanks around it, and goes on at `following`."""
        program, blanks = self.program, self.marks.blanks
        if blanks is not None:
            following = program.terminal(blanks, following)
        node = program.call(self.node_of(self.source.root), following)
        return node if blanks is None else program.terminal(blanks, program.block((node,)))

    # ------------------------------------------------------------------------------------------ references

    def node_of(self, ref: Ref, unique: bool = False) -> int:
        """The node of a reference: lazy until lowered. `unique`: an item that must differ from its siblings."""
        node = self._nodes.get((ref, unique))
        if node is None:
            node = self._nodes[ref, unique] = self.program.fresh(OP_LAZY, int(ref), int(unique), self._part)
            self._pending.append((ref, unique))
        return node

    def expand(self, node: int) -> None:
        """Lower the part behind a lazy node (the kernels' NEED_NODE)."""
        with self.program.lock:
            op, ref, unique = self.program.node.data[4 * node : 4 * node + 3].tolist()
            if op == OP_LAZY:  # else another matcher was here, and the asking one knows an older table
                self._lower(Ref(ref), bool(unique))
            self._pending.clear()

    def _lower(self, ref: Ref, unique: bool) -> None:
        node = self._nodes[ref, unique]
        if self.program.node.data[4 * node] != OP_LAZY:
            return
        union = self.source.resolve(ref)
        self.program.become(node, self.union(union, unique))

    # ---------------------------------------------------------------------------------------------- values

    def union(self, union: Union, unique: bool = False) -> int:
        """A node that reads a value of one of the alternatives and returns.

        `unique`: of an array whose items differ. There an alternative of one value knows the value's hash, so that
        it is not begun again once the array has it.
        """
        done = self.program.done
        words: dict[bytes, list[int]] = {}
        hashes: dict[bytes, list[int]] = {}  # of the values behind a word; missing where there are too many
        others: list[int] = []
        free_strings: list[str] = []

        def add(word: bytes, node: int, value: Any = _MANY) -> None:
            words.setdefault(word, []).append(node)
            if value is _MANY:
                hashes[word] = []
            elif len(words[word]) == 1 or hashes[word]:
                hashes.setdefault(word, []).append(hash_value(value))

        containers = [value for value in union.alternatives if isinstance(value, (ObjectValue, ArrayValue))]
        if len(containers) > _MOST_CONTAINERS and any(constant_of(v, self.source) is _MANY for v in containers):
            raise BudgetExceeded(
                f"alternatives at {union.pointer or 'the root'}",
                _MOST_CONTAINERS,
                len(containers),
                "Let the branches of oneOf exclude each other by a required property with const.",
            )
        for value in union.alternatives:
            if isinstance(value, StringValue):
                add(b'"', self.string(value))
            elif isinstance(value, NumberValue):
                others.extend(self.number(value))
            elif isinstance(value, LiteralValue):
                if isinstance(value.value, str) and self.free:
                    free_strings.append(value.value)
                elif isinstance(value.value, (int, float)) and not isinstance(value.value, bool) and self.free:
                    plain = value.plain_integer
                    nodes = self.number(
                        NumberValue(plain, minimum=value.value, maximum=value.value, plain_integer=plain)
                    )
                    others.extend(self._fresh(node, value.value) if unique else node for node in nodes)
                else:
                    for text in _literal(value, union.pointer, self._python):
                        add(text, done, value.value if unique else _MANY)
            else:
                only = constant_of(value, self.source) if unique else _MANY
                if isinstance(value, ObjectValue):
                    node, word = self.object(value, union.pointer), b"{"
                else:
                    node, word = self.array(value, union.pointer), b"["
                add(word, node if only is _MANY else self._fresh(node, only), only)
        if free_strings:
            add(b'"', self.free_words(free_strings, unique))
            if unique and len(words[b'"']) == 1:
                hashes[b'"'] = [hash_value(text) for text in dict.fromkeys(free_strings)]
        if words:
            texts = sorted(words)
            listed: list[Word] = [(text, self.program.choice(words[text]), None) for text in texts]
            number = self.program.hashed([hashes[text] for text in texts]) if unique else 0
            others.insert(0, self.program.trie_node(listed, number))
        return self.program.choice(others)

    def _fresh(self, node: int, value: Any) -> int:
        """`node`, which reads just `value`, where the array has no such item yet."""
        return self.program.add(OP_FRESH, self.program.whash.extend((hash_value(value),)), node)

    def free_words(self, strings: list[str], unique: bool = False) -> int:
        """One of some strings, in any spelling, up to and with the closing quote."""
        distinct = sorted(set(strings))
        words: list[Word] = [(text, self.program.done, None) for text in distinct]
        number = self.program.hashed([(hash_value(text),) for text in distinct]) if unique else 0
        root = self.program.trie(words, number)
        self.program.literal_tries.append((root, self.program.st.n // 6, 2))
        return self.program.add(OP_DTRIE, root, self.any_string)

    def string(self, value: StringValue) -> int:
        """Content and closing quote of a string."""
        q, bounds = self.string_terminal(value)
        return self.program.terminal(q, self.program.done, bounds)

    def string_terminal(self, value: StringValue) -> tuple[int, tuple[int, int | None, int] | None]:
        """Start state and character bounds. Upper bounds are counted; lower ones of patterns are intersected, as few do
        not hold anyway."""
        low, high = value.min_length, value.max_length
        if value.language is None:
            return self.any_string, None if low == 0 and high is None else (low, high, 1)
        counted = value.language.counted()
        if counted is not None:
            charset, least, most = counted
            low = max(low, least)
            high = most if high is None else high if most is None else min(high, most)
            regex = Regex.chars(charset).repeat(0)
            q = self._regex(regex)
            self.store.count(q)
            return q, None if low == 0 and high is None else (low, high, _narrowest(charset))
        return self._pattern(value.language, low, high)

    def _pattern(self, regex: Regex, low: int, high: int | None) -> tuple[int, tuple[int, int | None, int] | None]:
        key = ("pattern", self.encoding, regex, low, high)
        known: Any = self.store.extras.get(key)
        if known is None:
            term = start_term(regex)[2]
            if term.shortest < low:
                regex = regex & Regex.length(low)
            if high is None or longest(term) <= high:
                known = self._regex(regex), None
            else:
                q = self._regex(regex)
                if q >= 0 and self.store.count(q, fewest=True):
                    known = q, (0, high, 4)
                else:
                    known = self._regex(regex & Regex.length(0, high)), None
            self.store.extras[key] = known
        return known  # type: ignore[no-any-return]

    def _regex(self, regex: Regex) -> int:
        key = ("regex", self.encoding, regex)
        known = self.store.extras.get(key)
        if known is None:
            known = self.store.extras[key] = self.store.start_of(ByteDfa(char_dfa(regex), self.encoding))
        assert isinstance(known, int)
        return known

    def number(self, value: NumberValue) -> list[int]:
        """Terminals of a number: none if no number fits."""
        spelling = "any" if self.free else "canonical"
        key = ("number", spelling, value)
        q = self.store.extras.get(key)
        if q is None:
            dfa = numbers.number_dfa(
                integer=value.integer,
                minimum=value.minimum,
                maximum=value.maximum,
                exclusive_minimum=value.exclusive_minimum,
                exclusive_maximum=value.exclusive_maximum,
                multiple_of=value.multiple_of,
                not_multiple_of=value.not_multiple_of,
                plain_integer=value.plain_integer,
                pointed=value.pointed,
                spelling=spelling,
            )
            q = self.store.extras[key] = -1 if dfa is None else self.store.start_of(dfa)
        assert isinstance(q, int)
        return [] if q < 0 else [self.program.terminal(q, self.program.done)]

    # ------------------------------------------------------------------------------------------ containers

    def array(self, value: ArrayValue, pointer: str) -> int:
        """An array after its opening bracket."""
        unique = value.unique and (bool(value.states) or value.max_items is None or value.max_items > 1)
        if unique:
            self.program.unique = True
        if value.states:
            return self._item_automaton(value, pointer, unique)
        prefix = [self.node_of(ref, unique) for ref in value.prefix]
        items = -1 if value.items is None else self.node_of(value.items, unique)
        high = -1 if value.max_items is None else min(value.max_items, 1 << 30)
        low = min(value.min_items, 1 << 30)
        refs = {*value.prefix, *(() if value.items is None else (value.items,))}
        slack = self._slack(refs) if unique else 0
        head = (len(prefix), items, low, high, 0, int(unique), 0, slack)
        array = self.program.aspec.extend((*head, *prefix, *([0] * len(prefix))))
        self.program.pointers[K_ARR, array] = pointer
        return self.program.add(OP_ARR, array)

    def _slack(self, refs: set[Ref]) -> int:
        """Tokens that an item may cost above the least, as the cheapest values can have been used up."""
        dearest = 0
        for ref in refs:
            for value in self.source.resolve(ref).alternatives:
                only = constant_of(value, self.source)
                if only is not _MANY:
                    dearest = max(dearest, len(json.dumps(only)))
        return dearest + RESERVE

    def _item_automaton(self, value: ArrayValue, pointer: str, unique: bool) -> int:
        """An array whose items an automaton counts: its states, then its table."""
        aspec = self.program.aspec
        slack = self._slack({ref for state in value.states for ref, _ in state.edges}) if unique else 0
        offsets = []
        offset = aspec.n
        for state in value.states:
            offsets.append(offset)
            offset += AS_HEAD + 2 * len(state.edges)
        for state in value.states:
            edges = [word for ref, target in state.edges for word in (self.node_of(ref, unique), offsets[target])]
            aspec.extend((int(state.accepting), len(state.edges), NEVER, NEVER, *edges))
        array = aspec.extend((0, -1, len(value.states), -1, 0, AF_STATES | unique, offsets[0], slack))
        self.program.pointers[K_ARR, array] = pointer
        return self.program.add(OP_ARR, array)

    def object(self, value: ObjectValue, pointer: str) -> int:
        """An object after its opening brace."""
        program = self.program
        value = _spell_out(value)
        entries: list[tuple[Any, int, bytes | None, Any]] = []  # symbols, which all are bytes or all characters
        for position, declared in enumerate(value.properties):
            name = declared.name
            spelled = canonical(name)
            if spelled is None:
                if declared.required:
                    raise UnsupportedSchema(pointer, "required", f"names {declared.name!r}, a lone surrogate")
                continue
            if self.free:
                entries.append((name, position, None, declared))
            else:
                entries.append((spelled, position, _boundaries(name, len(spelled)), declared))
        entries.sort(key=lambda entry: entry[0])
        n = len(entries)
        # declared positions, without the names that cannot be written
        order = sorted(range(n), key=lambda i: entries[i][1])
        position_of = [0] * n
        for position, i in enumerate(order):
            position_of[i] = position
        usable = [0 if entries[i][3].value is None else 1 for i in order]
        required = [1 if entry[3].required else 0 for entry in entries]
        values = [-1 if e[3].value is None else self._colon(e[3].value) for e in entries]
        limit, after = [0] * n, [0] * n
        next_required, later = n, 0
        for position in range(n - 1, -1, -1):
            if required[order[position]]:
                next_required = position
            limit[position] = next_required
            after[position] = later
            later += usable[position]
        trie = program.trie([(s, i, inside) for i, (s, _, inside, _) in enumerate(entries)]) if n else -1
        q, others, final = self._undeclared(value)
        other = program.ospec.extend(others)
        need = self._duties(value) if value.duties else 0
        flags = (OF_ANY if self.any_order else 0) | (OF_OPEN if others else 0) | (OF_FINAL if final else 0)
        high = -1 if value.max_properties is None else min(value.max_properties, 1 << 30)
        suffixes = []
        for symbols, _, _, declared in entries:
            suffixes.append(program.key_places)
            program.keys.append((program.key_places, declared.name))
            program.key_places += len(symbols) + 1
        spec = program.ospec.extend(
            (
                n, (n + 63) // 64, trie, flags, q, other, min(value.min_properties, 1 << 30), high, sum(required), 0, 0,
                len(others), value.duties, need, 0,
                *values, *position_of, *required, *([0] * n), *order, *limit, *after, *usable, *suffixes, *([0] * n),
            )
        )  # fmt: skip
        program.pointers[K_OBJ, spec] = pointer
        return program.add(OP_OBJ, spec)

    def _colon(self, ref: Ref) -> int:
        return self.program.add(OP_TERM, self.marks.colon, self.node_of(ref))

    def _duties(self, value: ObjectValue) -> int:
        """Offset of: how many keys each set of duties still needs at least; what these cost (`costs`)."""
        choices = [*value.additional_choices, *(choice for pattern in value.patterns for choice in pattern.choices)]
        pays = {choice.pays for choice in choices if choice.pays}
        need = [0] * (1 << value.duties)
        for pending in range(1, len(need)):
            need[pending] = 1 + min((need[pending & ~mask] for mask in pays if mask & pending), default=_NEVER_PAID)
        return self.program.ospec.extend((*need, *([0] * len(need))))

    def _choice(self, choice: Choice) -> int:
        return self.program.add(OP_PAY, choice.pays, self._colon(choice.value))

    def _value_after(self, value: Ref | None, choices: tuple[Choice, ...], duties: int) -> int:
        """What follows an undeclared key."""
        if not choices:
            assert value is not None
            return self._choice(Choice(value, 0)) if duties else self._colon(value)
        return self.program.choice([self._choice(choice) for choice in choices])

    def _undeclared(self, value: ObjectValue) -> tuple[int, list[int], bool]:
        """Terminal of the undeclared keys; by label, the node after such a key; whether some declared name is a word of
        the terminal that no longer word begins with.
        """
        rest_of = value.additional is not None or bool(value.additional_choices)
        if not value.patterns and value.key_language is None:
            if not rest_of:
                return self.any_string, [], False
            after = self._value_after(value.additional, value.additional_choices, value.duties)
            return self.any_string, [after], False
        labels: list[tuple[Regex, int]] = []
        rest = value.key_language
        for pattern in value.patterns:
            keys = pattern.keys if value.key_language is None else pattern.keys & value.key_language
            labels.append((keys, self._value_after(pattern.value, pattern.choices, value.duties)))
            rest = ~pattern.keys if rest is None else rest - pattern.keys
        if rest_of and rest is not None:
            # first, as label 0: where no pattern can match any more, its states are those of any string
            labels.insert(0, (rest, self._value_after(value.additional, value.additional_choices, value.duties)))
        kept = [(language, after) for language, after in labels if not language.is_empty()]
        if not kept:
            return self.any_string, [], False
        final = _some_final([declared.name for declared in value.properties], [language for language, _ in kept])
        if len(kept) == 1:
            return self._regex(kept[0][0]), [kept[0][1]], final
        from grammars.automaton.labelled import LabelledDfa

        parts = [ByteDfa(CharDfa(language), self.encoding) for language, _ in kept]
        return self.store.start_of(LabelledDfa(parts)), [after for _, after in kept], final


def _some_final(names: list[str], languages: list[Regex]) -> bool:
    """Is one of the names a word of the languages and not the beginning of another one?"""
    most = [longest(start_term(language)[2]) for language in languages]
    bounded = [char_dfa(language) for language, length in zip(languages, most, strict=True) if length < ENDLESS]
    final = [name for name in names if any(dfa.start >= 0 and _ends_at(dfa, name) for dfa in bounded)]
    if not final or len(bounded) == len(languages) == 1:
        return bool(final)
    return any(all(_ends_at(char_dfa(language), name) is not False for language in languages) for name in final)


def _ends_at(dfa: CharDfa, name: str) -> bool | None:
    """Is `name` a word and no longer one begins with it? None: no word begins with it."""
    state = dfa.start
    for character in name:
        state = dfa.step(state, ord(character)) if state >= 0 else -1
    return None if state < 0 else not dfa.ranges(state)


def _spell_out(value: ObjectValue) -> ObjectValue:
    """Undeclared keys of finite languages as declared, optional properties: such keys can be used up."""
    if value.duties or (not value.patterns and value.key_language is None):
        return value  # duties: the front-end has done it
    declared = {declared.name for declared in value.properties}
    added: list[Property] = []
    patterns: list[PatternProperty] = []

    def list_words(keys: Regex, ref: Ref) -> bool:
        words = CharDfa(keys).words(_MOST_WORDS)
        if words is not None:
            added.extend(Property(word, ref) for word in words if word not in declared)
        return words is not None

    for pattern in value.patterns:
        keys = pattern.keys if value.key_language is None else pattern.keys & value.key_language
        if not list_words(keys, pattern.value):
            patterns.append(pattern)
    additional = value.additional
    if additional is not None and value.key_language is not None:
        rest = value.key_language
        for pattern in value.patterns:
            rest = rest - pattern.keys
        if list_words(rest, additional):
            additional = None
    if not added and len(patterns) == len(value.patterns) and additional == value.additional:
        return value
    if additional is not None and len(patterns) < len(value.patterns):
        # the words taken out stay out of what "additional" covers
        taken = Regex.literals([p.name for p in added])
        language: Regex | None = ~taken if value.key_language is None else value.key_language - taken
    else:
        language = value.key_language
    return replace(
        value,
        properties=(*value.properties, *added),
        patterns=tuple(patterns),
        additional=additional,
        key_language=language,
    )


_MANY: Any = object()


def constant_of(value: Alternative, source: SchemaSource) -> Any:
    """The only value of an alternative; _MANY where it has others, or where that is not seen at once."""
    if isinstance(value, LiteralValue):
        return value.value
    if isinstance(value, ObjectValue):
        if value.patterns or value.additional is not None or value.additional_choices or value.duties:
            return _MANY
        if not all(declared.required or declared.value is None for declared in value.properties):
            return _MANY
        pairs = [(p.name, p.value) for p in value.properties if p.value is not None]
    elif isinstance(value, ArrayValue):
        if value.states or value.max_items is None or value.min_items != value.max_items:
            return _MANY
        tail = [value.items] * max(0, value.max_items - len(value.prefix))
        pairs = [("", ref) for ref in (*value.prefix[: value.max_items], *tail) if ref is not None]
        if len(pairs) > _MOST_WORDS:
            return _MANY
    else:
        return _MANY
    parts = []
    for name, ref in pairs:
        alternatives = source.resolve(ref).alternatives
        only = constant_of(alternatives[0], source) if len(alternatives) == 1 else _MANY
        if only is _MANY:
            return _MANY
        parts.append((name, only))
    return dict(parts) if isinstance(value, ObjectValue) else [part for _, part in parts]


def _any_string(encoding: str) -> ByteDfa:
    return ByteDfa(CharDfa(Regex.any_string()), encoding)


def _boundaries(name: str, size: int) -> bytes | None:
    """Which places in the canonical spelling of a name, of so many bytes, lie between characters; None: all."""
    if size == len(name):
        return None
    inside = b"\1"
    for character in name:
        inside += b"\1".rjust(len(canonical(character) or b""), b"\0")
    return inside


def _literal(literal: LiteralValue, pointer: str, python: bool) -> list[bytes]:
    """Spellings of a scalar as json.dumps prints it: an integral float also as the integer that it equals."""
    value = literal.value
    if python and (value is None or isinstance(value, bool)):
        return [repr(value).encode()]
    if literal.plain_integer:
        return [str(int(value)).encode()]
    try:
        if isinstance(value, str):
            return [encode_basestring(value).encode()]
        texts = [json.dumps(value, ensure_ascii=False, allow_nan=False).encode()]
    except UnicodeEncodeError as error:
        raise UnsupportedSchema(pointer, "enum", f"holds {value!r}, a lone surrogate") from error
    if isinstance(value, float) and value.is_integer():
        texts.append(str(int(value)).encode())
    return texts
