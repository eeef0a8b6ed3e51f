"""The front-end against `jsonschema`: the same verdict on every instance, and every alternative has an instance."""

from __future__ import annotations

from typing import Any

import jsonschema
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from grammars.errors import BudgetExceeded, UnsatisfiableSchema, UnsupportedSchema
from grammars.jsonschema import SchemaCompiler
from grammars.jsonschema.membership import contains
from grammars.schema_ir import (
    Alternative,
    ArrayValue,
    Choice,
    LiteralValue,
    NumberValue,
    ObjectValue,
    Ref,
    StringValue,
)
from tests.strategies import schemas as strategies

QUIET = settings(suppress_health_check=list(HealthCheck), deadline=None)


def verdict(schema: Any, instance: Any) -> bool:
    """What `jsonschema` says."""
    return bool(jsonschema.Draft202012Validator(schema).is_valid(instance))


def compiled(schema: Any) -> SchemaCompiler | None:
    try:
        return SchemaCompiler(schema, fuel=20_000)
    except UnsatisfiableSchema:
        return None


def conditions() -> st.SearchStrategy[Any]:
    """Conditions on one property, many enough to be taken together, and a few others."""
    values = st.lists(st.sampled_from(["a", "b", "c", 1]), min_size=1, max_size=2, unique=True)
    test = st.builds(
        lambda named, wanted: {"properties": {"kind": {"enum": named}}} | ({"required": ["kind"]} if wanted else {}),
        values,
        st.booleans(),
    )
    effect = st.sampled_from(
        [
            {"required": ["x"]},
            {"required": ["y"]},
            {"properties": {"x": {"type": "integer"}}},
            {"maxProperties": 2},
            False,
        ]
    )
    condition = st.one_of(
        st.builds(lambda test, then: {"if": test, "then": then}, test, effect),
        st.builds(lambda test, then: {"if": test, "else": then}, test, effect),
        st.builds(lambda name, test: {"dependentSchemas": {name: test}}, st.sampled_from("xy"), test),
        st.builds(lambda one, other, more: {"anyOf": [one, {"not": other}, more]}, test, test, effect),
        st.builds(lambda one, more: {"oneOf": [one, more]}, test, effect),
    )
    return st.builds(lambda parts: {"type": "object", "allOf": parts}, st.lists(condition, min_size=5, max_size=9))


@QUIET
@given(
    conditions(),
    st.lists(
        st.builds(
            lambda kind, rest: rest if kind is ... else {**rest, "kind": kind},
            st.sampled_from(["a", "b", "c", 1, 2, None, ...]),
            st.dictionaries(st.sampled_from("xy"), st.sampled_from([0, "z"]), max_size=2),
        ),
        min_size=5,
        max_size=12,
    ),
)
def test_conditions_on_one_property(schema: Any, instances: list[Any]) -> None:
    agrees(schema, instances)


def counted() -> st.SearchStrategy[Any]:
    """Schemas of arrays that count, several of them at once, some denied."""
    item = st.sampled_from([{"type": "integer"}, {"minimum": 1}, {"enum": [1, "a", None]}, {"type": "string"}, True])
    count = st.integers(0, 3)
    keywords = {
        "contains": item, "minContains": count, "maxContains": count, "minItems": count, "maxItems": count,
        "items": item, "prefixItems": st.lists(item, min_size=1, max_size=2),
    }  # fmt: skip
    one = st.lists(st.sampled_from(sorted(keywords)), min_size=1, max_size=4, unique=True).flatmap(
        lambda chosen: st.fixed_dictionaries({keyword: keywords[keyword] for keyword in {*chosen, "contains"}})
    )
    part = one | st.builds(lambda schema: {"not": schema}, one)
    return st.builds(lambda parts: {"type": "array", "allOf": parts}, st.lists(part, min_size=1, max_size=3))


def agrees(schema: Any, instances: list[Any]) -> SchemaCompiler | None:
    """The compiled schema (None: it has no instance), held to the judge's verdict on each instance."""
    source = compiled(schema)
    for instance in instances:
        got = source is not None and contains(source, instance)
        assert got == verdict(schema, instance), (schema, instance)
    return source


@st.composite
def tagged(draw: st.DrawFn) -> Any:
    """Branches of `oneOf` most of which list the values of `kind`, some loosely, some not at all."""
    branches = []
    for _ in range(draw(st.integers(2, 5))):
        names = draw(st.lists(st.sampled_from("xyz"), unique=True, max_size=2))
        value = st.sampled_from([{"type": "integer"}, {"const": "a"}, {"enum": [0, "b"]}, {}])
        branch: dict[str, Any] = {"properties": {name: draw(value) for name in names}}
        if draw(st.integers(0, 4)):
            values = st.lists(st.sampled_from(["a", "b", "c", 1]), min_size=1, max_size=2, unique=True)
            branch["properties"]["kind"] = {"enum": draw(values)}
        branch["required"] = draw(st.lists(st.sampled_from(["kind", "kind", "x", "y"]), unique=True, max_size=2))
        branches.append(branch)
    return {"type": "object", draw(st.sampled_from(["oneOf", "anyOf"])): branches}


@QUIET
@given(
    st.one_of(tagged(), st.builds(lambda one, other: {"allOf": [one, {"not": other}]}, tagged(), tagged())),
    st.lists(
        st.dictionaries(
            st.sampled_from(["kind", "x", "y"]), st.sampled_from(["a", "b", "c", "d", 1, 0, None]), max_size=3
        ),
        min_size=5,
        max_size=10,
    ),
)
def test_branches_that_list_the_values_of_a_property(schema: Any, instances: list[Any]) -> None:
    agrees(schema, instances)


@QUIET
@given(strategies.schemas(strategies.COUNTED), st.lists(strategies.instances(), min_size=3, max_size=8))
def test_agrees_on_random_instances(schema: Any, instances: list[Any]) -> None:
    try:
        agrees(schema, instances)
    except (UnsupportedSchema, BudgetExceeded):
        assume(False)


@QUIET
@given(counted(), st.lists(st.lists(strategies.scalars(), max_size=6), min_size=3, max_size=8))
def test_counts_items_by_what_they_match(schema: Any, instances: list[Any]) -> None:
    try:
        source = agrees(schema, instances)
        if source is not None:
            for example in examples(source, source.root, 4):
                assert verdict(schema, example), (schema, example)
    except (UnsupportedSchema, BudgetExceeded):
        assume(False)


@QUIET
@given(strategies.schemas(strategies.EVALUATED), st.lists(strategies.instances(), min_size=3, max_size=8), st.data())
def test_unevaluated_keywords(schema: Any, instances: list[Any], data: st.DataObject) -> None:
    keyword = data.draw(st.sampled_from(["unevaluatedProperties", "unevaluatedItems"]))
    schema = {keyword: data.draw(st.sampled_from([False, {"type": "string"}])), **schema}
    try:
        agrees(schema, instances)
    except (UnsupportedSchema, BudgetExceeded):
        assume(False)


def obliged() -> st.SearchStrategy[Any]:
    """Schemas of objects some key of which must violate something."""
    value = st.sampled_from([{"type": "integer"}, {"minimum": 1}, {"enum": [1, "a", None]}, {"type": "string"}, False])
    pattern = st.sampled_from(("^a", "b$", "^[ab]$", "x"))
    keywords = {
        "additionalProperties": value,
        "patternProperties": st.dictionaries(pattern, value, min_size=1, max_size=2),
        "properties": st.dictionaries(st.sampled_from("ab"), value, min_size=1, max_size=2),
        "propertyNames": st.sampled_from([{"maxLength": 1}, {"pattern": "^a"}, {"enum": ["a", "x"]}]),
        "maxProperties": st.integers(0, 3),
        "minProperties": st.integers(0, 2),
        "required": st.lists(st.sampled_from("ab"), max_size=1),
    }
    one = st.lists(st.sampled_from(sorted(keywords)), min_size=1, max_size=3, unique=True).flatmap(
        lambda chosen: st.fixed_dictionaries({keyword: keywords[keyword] for keyword in chosen})
    )
    denied = st.builds(lambda schema: {"not": schema}, one)
    return st.builds(
        lambda parts, more: {"type": "object", "allOf": [*parts, *more]},
        st.lists(denied, min_size=1, max_size=3),
        st.lists(one, max_size=1),
    )


@QUIET
@given(
    obliged(),
    st.lists(
        st.dictionaries(st.sampled_from(["a", "b", "ab", "x", "y", "abx"]), strategies.scalars(), max_size=4),
        min_size=3,
        max_size=8,
    ),
)
def test_some_key_must_violate(schema: Any, instances: list[Any]) -> None:
    try:
        source = agrees(schema, instances)
        if source is not None:
            for example in examples(source, source.root, 4):
                assert verdict(schema, example), (schema, example)
    except (UnsupportedSchema, BudgetExceeded):
        assume(False)


@QUIET
@given(strategies.schemas(strategies.CORE), st.lists(strategies.instances(), min_size=3, max_size=8))
def test_core_language_is_never_refused(schema: Any, instances: list[Any]) -> None:
    agrees(schema, instances)


@QUIET
@given(strategies.schemas(strategies.COUNTED))
def test_each_alternative_has_a_valid_instance(schema: Any) -> None:
    try:
        source = compiled(schema)
        assume(source is not None)
        assert source is not None
        for instance in examples(source, source.root, 4):
            assert verdict(schema, instance), (schema, instance)
            assert contains(source, instance)
    except (UnsupportedSchema, BudgetExceeded):
        assume(False)


class TooDeep(Exception):
    """The alternative needs more nesting than asked for, or items that differ."""


def examples(source: SchemaCompiler, ref: Ref, depth: int) -> list[Any]:
    """An instance of each alternative that needs no more than `depth` levels."""
    if depth < 0:
        raise TooDeep
    union = source.resolve(ref)
    assert union.alternatives, f"nothing at {union.pointer}"
    found = []
    for alternative in union.alternatives:
        try:
            found.append(example(source, alternative, depth))
        except TooDeep:
            continue
    if not found:
        raise TooDeep
    return found


def example(source: SchemaCompiler, alternative: Alternative, depth: int) -> Any:
    match alternative:
        case LiteralValue():
            return alternative.value
        case StringValue():
            language = source.languages.lengths(alternative.min_length, alternative.max_length)
            if alternative.language is not None:
                language = language & alternative.language
            return language.example()
        case NumberValue():
            return _number(alternative)
        case ArrayValue():
            if alternative.states:
                return [examples(source, ref, depth - 1)[0] for ref in _way_out(alternative)]
            if alternative.unique and alternative.min_items > 1:
                raise TooDeep
            refs = [*alternative.prefix, *[alternative.items] * alternative.min_items][: alternative.min_items]
            assert len(refs) == alternative.min_items and None not in refs
            return [examples(source, ref, depth - 1)[0] for ref in refs if ref is not None]
        case ObjectValue():
            return _object(source, alternative, depth)


def _way_out(arrays: ArrayValue) -> list[Ref]:
    """The items of a shortest array; each state must have such a way."""
    for start in range(len(arrays.states)):
        ways: dict[int, list[Ref]] = {start: []}
        queue = [start]
        for state in queue:
            for ref, after in arrays.states[state].edges:
                if after not in ways:
                    ways[after] = [*ways[state], ref]
                    queue.append(after)
        shortest = [way for state, way in ways.items() if arrays.states[state].accepting]
        assert shortest, (start, arrays.states)
        if start == 0:
            result = shortest[0]
    return result


def _number(numbers: NumberValue) -> Any:
    for candidate in [place / 4 for place in range(-40, 41)]:
        value: Any = int(candidate) if candidate == int(candidate) else candidate
        if contains(_Only(numbers), value):
            return value
    low = numbers.minimum if numbers.minimum is not None else numbers.exclusive_minimum
    raise AssertionError(f"no number at or above {low}: {numbers}")


class _Only:
    """A source of one alternative."""

    root = Ref(0)

    def __init__(self, alternative: Alternative) -> None:
        self._alternative = alternative

    def resolve(self, ref: Ref) -> Any:
        from grammars.schema_ir import Union

        return Union((self._alternative,))


def _object(source: SchemaCompiler, objects: ObjectValue, depth: int) -> dict[str, Any]:
    chosen = {p.name: p.value for p in objects.properties if p.required}
    assert None not in chosen.values()
    names = {declared.name for declared in objects.properties}
    met = 0
    for _ in range(objects.duties):  # greedily: one property too many now and then
        places = _places(source, objects, names | chosen.keys())
        name, choice = max(places, key=lambda place: _bits(place[1].pays & ~met))
        if choice.pays & ~met:
            chosen[name] = choice.value
            met |= choice.pays
    assert met == (1 << objects.duties) - 1
    for declared in objects.properties:
        if len(chosen) < objects.min_properties and declared.value is not None:
            chosen.setdefault(declared.name, declared.value)
    while len(chosen) < objects.min_properties:
        name, choice = _places(source, objects, names | chosen.keys())[0]
        chosen[name] = choice.value
    assert objects.max_properties is None or len(chosen) <= objects.max_properties
    return {name: examples(source, ref, depth - 1)[0] for name, ref in chosen.items() if ref is not None}


def _bits(mask: int) -> int:
    return bin(mask).count("1")


def _places(source: SchemaCompiler, objects: ObjectValue, taken: set[str]) -> list[tuple[str, Choice]]:
    """What else may be written: a key for each choice of values."""
    matched = [pattern.keys for pattern in objects.patterns]
    places = [
        (pattern.keys, choice)
        for pattern in objects.patterns
        for choice in pattern.choices or [Choice(pattern.value, 0)]
    ]
    if objects.additional is not None:
        others = source.languages.none_of(matched)
        places += [(others, choice) for choice in objects.additional_choices or [Choice(objects.additional, 0)]]
    found = []
    for language, choice in places:
        if objects.key_language is not None:
            language = language & objects.key_language
        language = language - source.languages.one_of(taken)
        if not language.is_empty():
            found.append((language.example(), choice))
    assert found, f"not enough keys: {objects}"
    return found


def test_keys_that_leave_no_room_for_what_is_asked_for() -> None:
    """With one key allowed, only keys that meet the demand can be begun."""
    schema = {
        "type": "object",
        "allOf": [{"not": {"propertyNames": {"not": {"pattern": "b"}}}}, {"propertyNames": {"pattern": "^(a+|ba*)$"}}],
        "maxProperties": 1,
    }
    agrees(schema, [{}, {"a": 1}, {"b": 1}, {"baa": 1}, {"b": 1, "a": 1}])
    source = SchemaCompiler(schema)
    (objects,) = source.resolve(source.root).alternatives
    assert isinstance(objects, ObjectValue) and objects.additional is None
    assert [pattern.keys.matches("aa") for pattern in objects.patterns] == [False]


def test_some_key_of_a_pattern_with_hundreds_of_strings() -> None:
    """They are not spelled out. Any of them is what is asked for, so none can be used up before."""
    codes: dict[str, Any] = {
        "type": "object",
        "patternProperties": {"^([0-9]{3}|default)$": {"type": "integer"}, "^x-": {}},
        "additionalProperties": False,
        "not": {"type": "object", "patternProperties": {"^x-": {}}, "additionalProperties": False},
    }
    for more in ({}, {"minProperties": 2}, {"maxProperties": 1}, {"minProperties": 2, "maxProperties": 2}):
        schema = {**codes, **more}
        source = SchemaCompiler(schema)
        for instance in (
            {}, {"200": 1}, {"default": 1}, {"200": "a"}, {"x-1": 1}, {"x-1": 1, "200": 1}, {"x-1": 1, "x-2": 1},
            {"200": 1, "201": 1}, {"x-1": 1, "20": 1}, {"200": 1, "201": 1, "x-": 1}, 1,
        ):  # fmt: skip
            assert contains(source, instance) == verdict(schema, instance), instance
    without = {**codes, "patternProperties": {"^[0-9]{3}$": {"type": "integer"}}}
    assert compiled({**without, "minProperties": 1001}) is None
    assert compiled({**without, "minProperties": 1000}) is not None
