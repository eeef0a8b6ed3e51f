"""Instructions of LLVM's assembly for the values that kernels have: what `translate` writes a function with.

Registers, blocks, loads and stores that say which array they touch, conversions, arithmetic, and values that one of
several blocks has computed.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import Any

__all__ = [
    "ARRAYS", "BOOL", "ELEMENTS", "INT", "PLACES", "UINT", "Array", "Emitter", "Pointer", "Type", "Untranslatable",
    "Value", "join", "llvm_type",
]  # fmt: skip

# element types: LLVM's type, bytes, how a load becomes an int64
ELEMENTS = {
    "int64": ("i64", 8, ""),
    "int32": ("i32", 4, "sext"),
    "int8": ("i8", 1, "sext"),
    "uint16": ("i16", 2, "zext"),
    "uint8": ("i8", 1, "zext"),
}
# what is told apart in memory; the first three are int64 arrays
PLACES = ("context", "arena", "scratch", *ELEMENTS)


class Untranslatable(Exception):
    """A kernel uses a form of Python that is not known here."""


@dataclass(frozen=True)
class Array:
    """Type of an array: its elements, and where it lies as far as that is known."""

    element: str
    place: str = ""

    @property
    def tag(self) -> str:
        """Metadata of its loads and stores."""
        return f"!tbaa !{2 * PLACES.index(self.place or self.element) + 2}"


@dataclass(frozen=True)
class Pointer:
    """Type of an address that `carray` makes an array of."""

    element: str


INT, BOOL, UINT = "int", "bool", "unsigned"
Type = str | Array | Pointer | tuple[Any, ...]
ARRAYS = {
    "I8": Array("int8"), "I32": Array("int32"), "I64": Array("int64"), "U8": Array("uint8"), "U16": Array("uint16"),
}  # fmt: skip


@dataclass(frozen=True)
class Value:
    """A translated expression: an operand, of arrays pointer and size, of tuples their parts."""

    type: Type
    text: Any


def llvm_type(kind: Type) -> str:
    if isinstance(kind, tuple):
        return "{" + ", ".join(map(llvm_type, kind)) + "}"
    if isinstance(kind, Array):
        return "{ptr, i64}"
    return "i1" if kind == BOOL else "i64"


def join(one: Type | None, other: Type) -> Type:
    """The type that holds both."""
    if one is None or one == other:
        return other
    if {one, other} == {INT, BOOL}:
        return INT
    if isinstance(one, tuple) and isinstance(other, tuple) and len(one) == len(other):
        return tuple(join(a, b) for a, b in zip(one, other, strict=True))
    if isinstance(one, Array) and isinstance(other, Array) and one.element == other.element:
        return Array(one.element)
    raise Untranslatable(f"{one} and {other} in one place")


_INTEGER = {
    ast.Add: "add", ast.Sub: "sub", ast.Mult: "mul", ast.BitAnd: "and", ast.BitOr: "or", ast.BitXor: "xor",
    ast.LShift: "shl", ast.RShift: "ashr",
}  # fmt: skip
_ORDER = {ast.Eq: "eq", ast.NotEq: "ne", ast.Lt: "lt", ast.LtE: "le", ast.Gt: "gt", ast.GtE: "ge"}


class Emitter:
    """The text of one function as it grows."""

    checked = False  # indices: for tests
    line = 0  # of the source, for errors

    def begin(self) -> None:
        """Start anew."""
        self.lines: list[str] = []
        self.slots: list[str] = []  # allocations, which stand at the function's start
        self.counter = 0
        self.done = False  # the block has its last instruction

    def new(self, text: str) -> str:
        """A new register holding the instruction's result."""
        self.counter += 1
        self.lines.append(f"%t{self.counter} = {text}")
        return f"%t{self.counter}"

    def label(self) -> str:
        self.counter += 1
        return f"b{self.counter}"

    def open(self, label: str) -> None:
        self.lines.append(f"{label}:")
        self.done = False

    def jump(self, label: str) -> None:
        if not self.done:
            self.lines.append(f"br label %{label}")
            self.done = True

    def branch(self, condition: str, yes: str, no: str) -> None:
        self.lines.append(f"br i1 {condition}, label %{yes}, label %{no}")
        self.done = True

    def fail(self, node: ast.AST, why: str = "") -> Untranslatable:
        return Untranslatable(f"line {getattr(node, 'lineno', '?')}: {ast.unparse(node)} {why}")

    def converted(self, value: Value, kind: Type) -> Value:
        if value.type == kind or (isinstance(value.type, Array) and isinstance(kind, Array)):
            return Value(kind, value.text)
        if isinstance(kind, tuple):
            return Value(kind, [self.converted(v, k) for v, k in zip(value.text, kind, strict=True)])
        if value.type == BOOL and kind == INT:
            return Value(INT, self.new(f"zext i1 {value.text} to i64"))
        raise Untranslatable(f"line {self.line}: {value.type} as {kind}")

    def truth(self, value: Value) -> str:
        if value.type == BOOL:
            return str(value.text)
        return self.new(f"icmp ne i64 {self.number(value).text}, 0")

    def number(self, value: Value) -> Value:
        if value.type == UINT:
            return value
        return self.converted(value, INT)

    def place(self, array: Value, index: Value) -> str:
        kind = array.type
        if not isinstance(kind, Array):
            raise Untranslatable(f"line {self.line}: an index into {kind}")
        at = self.number(index).text
        if self.checked:
            bad, good = self.label(), self.label()
            self.branch(self.new(f"icmp uge i64 {at}, {array.text[1]}"), bad, good)
            self.open(bad)
            self.lines += ["call void @llvm.trap()", "unreachable"]
            self.open(good)
        return self.new(f"getelementptr {ELEMENTS[kind.element][0]}, ptr {array.text[0]}, i64 {at}")

    def load(self, kind: Array, pointer: str) -> Value:
        llvm, size, widen = ELEMENTS[kind.element]
        loaded = self.new(f"load {llvm}, ptr {pointer}, align {size}, {kind.tag}")
        return Value(INT, self.new(f"{widen} {llvm} {loaded} to i64") if widen else loaded)

    def write(self, array: Value, pointer: str, value: Value) -> None:
        kind = array.type
        assert isinstance(kind, Array)
        llvm, size, widen = ELEMENTS[kind.element]
        text = self.number(value).text
        if widen:
            text = self.new(f"trunc i64 {text} to {llvm}")
        self.lines.append(f"store {llvm} {text}, ptr {pointer}, align {size}, {kind.tag}")

    def binary(self, node: ast.AST, op: ast.operator, one: Value, other: Value) -> Value:
        one, other = self.number(one), self.number(other)
        if one.type != other.type:
            raise self.fail(node, "mixes signs")
        name = _INTEGER.get(type(op))
        if name == "ashr" and one.type == UINT:
            name = "lshr"
        if name is not None:
            return Value(one.type, self.new(f"{name} i64 {one.text}, {other.text}"))
        if not isinstance(op, ast.FloorDiv | ast.Mod) or one.type == UINT:
            raise self.fail(node)
        rest = self.new(f"srem i64 {one.text}, {other.text}")
        apart = self.new(f"icmp slt i64 {self.new(f'xor i64 {rest}, {other.text}')}, 0")
        off = self.new(f"and i1 {apart}, {self.new(f'icmp ne i64 {rest}, 0')}")
        if isinstance(op, ast.Mod):
            return Value(INT, self.new(f"select i1 {off}, i64 {self.new(f'add i64 {rest}, {other.text}')}, i64 {rest}"))
        ratio = self.new(f"sdiv i64 {one.text}, {other.text}")
        return Value(INT, self.new(f"sub i64 {ratio}, {self.new(f'zext i1 {off} to i64')}"))

    def compared(self, node: ast.AST, op: ast.cmpop, one: Value, other: Value) -> str:
        name = _ORDER.get(type(op))
        one, other = self.number(one), self.number(other)
        if name is None or one.type != other.type:
            raise self.fail(node)
        if name not in ("eq", "ne"):
            name = ("u" if one.type == UINT else "s") + name
        return self.new(f"icmp {name} i64 {one.text}, {other.text}")

    def merge_slots(self, kind: Type) -> Any:
        if isinstance(kind, tuple):
            return [self.merge_slots(own) for own in kind]
        if isinstance(kind, Array):
            return [self.merge_slot("ptr"), self.merge_slot("i64")]
        return self.merge_slot(llvm_type(kind))

    def merge_slot(self, llvm: str) -> str:
        self.counter += 1
        self.slots.append(f"%m{self.counter} = alloca {llvm}")
        return f"%m{self.counter}"

    def put(self, slots: Any, kind: Type, value: Value) -> None:
        value = self.converted(value, kind)
        if isinstance(kind, tuple):
            for slot, own, part in zip(slots, kind, value.text, strict=True):
                self.put(slot, own, part)
        elif isinstance(kind, Array):
            self.lines += [f"store ptr {value.text[0]}, ptr {slots[0]}", f"store i64 {value.text[1]}, ptr {slots[1]}"]
        else:
            self.lines.append(f"store {llvm_type(kind)} {value.text}, ptr {slots}")

    def got(self, slots: Any, kind: Type) -> Value:
        if isinstance(kind, tuple):
            return Value(kind, [self.got(slot, own) for slot, own in zip(slots, kind, strict=True)])
        if isinstance(kind, Array):
            return Value(kind, (self.new(f"load ptr, ptr {slots[0]}"), self.new(f"load i64, ptr {slots[1]}")))
        return Value(kind, self.new(f"load {llvm_type(kind)}, ptr {slots}"))
