"""Kernels to LLVM's language: the few forms of Python that they are written in, translated.

Where it sits: `machinecode` hands it the kernels of a group and compiles what comes back. Numba compiles the same
functions (`through_numba`), but its front end takes 20 s of a first start, this one a third of a second, since there is
so little to decide here. Python itself judges it in the tests.

The one idea: every number is an int64 (or a truth value, or, between np.uint64 and np.int64, unsigned), every array a
pointer and a size. A function is translated for the types that it is called with, calls within it first; its variables
take the widest type they are assigned, which a second pass over its body knows. Kernels do not recurse.

Arithmetic wraps around. Indices are not checked, and negative ones do not count from the end. Loads and stores of
different arrays are told apart (TBAA: by element type, and the matcher's arena, its scratch and its context from all
else), so what was loaded once stays loaded.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from grammars.kernels.emit import (
    ARRAYS,
    BOOL,
    ELEMENTS,
    INT,
    PLACES,
    UINT,
    Array,
    Emitter,
    Pointer,
    Type,
    Untranslatable,
    Value,
    join,
    llvm_type,
)
from grammars.kernels.layout import MAT, SCR

__all__ = ["ARRAYS", "Array", "Inner", "Module", "Pointers", "Untranslatable"]


@dataclass
class Inner:
    """A function that kernels call: what `inner` makes of it."""

    function: Callable[..., Any]

    def __call__(self, *arguments: Any) -> Any:
        """As plain Python, for tests."""
        return self.function(*arguments)


@dataclass(frozen=True)
class Pointers:
    """A form that loads through a bare address (see `pointers`)."""

    form: str  # "pointer", "load", "carray", "fence", "lowest" or "seize"
    element: str = ""


carray = Pointers("carray")
_pointer8, _pointer32, _pointer64 = (Pointers("pointer", element) for element in ("uint8", "int32", "int64"))
_i4, _u1, _fence = Pointers("load", "int32"), Pointers("load", "uint8"), Pointers("fence")
_lowest, _seize = Pointers("lowest"), Pointers("seize")


@cache
def _functions_of(file: str) -> dict[tuple[str, int], ast.FunctionDef]:
    """The functions of a file, by name and first line."""
    tree = ast.parse(Path(file).read_text(encoding="utf-8"))
    found = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    return {(node.name, min([node.lineno, *(d.lineno for d in node.decorator_list)])): node for node in found}


def definition(function: Callable[..., Any]) -> ast.FunctionDef:
    """The syntax tree of a function."""
    code = function.__code__
    return _functions_of(code.co_filename)[code.co_name, code.co_firstlineno]


class Module:
    """Functions translated so far, each once for the types it is called with."""

    def __init__(self, checked: bool = False) -> None:
        self.checked = checked  # indices: for tests
        self.texts: list[str] = []
        self._known: dict[Any, tuple[str, Type | None]] = {}

    def function(self, function: Callable[..., Any], types: tuple[Type, ...]) -> tuple[str, Type | None]:
        """Name and type of the result (None: nothing) of a function for arguments of these types."""
        key = (function, types)
        if key not in self._known:
            self._known[key] = ("", None)
            body = _Body(self, function, types)
            name = f"@{function.__name__}.{len(self._known)}"
            self.texts.append(body.translate(name))
            self._known[key] = (name, body.result)
        name, result = self._known[key]
        if not name:
            raise Untranslatable(f"{function.__name__} calls itself")
        return name, result

    def text(self) -> str:
        """All of it, in LLVM's assembly."""
        lines = ["declare void @llvm.trap()", "declare i64 @llvm.cttz.i64(i64, i1)", '!0 = !{!"kernels"}']
        for k, place in enumerate(PLACES):
            lines.append(f'!{2 * k + 1} = !{{!"{place}", !0, i64 0}}')
            lines.append(f"!{2 * k + 2} = !{{!{2 * k + 1}, !{2 * k + 1}, i64 0}}")
        return "\n".join([*lines, *self.texts])


class _Body(Emitter):
    """One function: statements to blocks, variables to stack slots (which LLVM makes registers of)."""

    def __init__(self, module: Module, function: Callable[..., Any], types: tuple[Type, ...]) -> None:
        self.module, self.checked = module, module.checked
        self.globals = function.__globals__
        closure = zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
        self.free = {name: cell.cell_contents for name, cell in closure}
        self.tree = definition(function)
        self.line = self.tree.lineno
        self.names = [a.arg for a in self.tree.args.args]
        if len(self.names) != len(types):
            raise Untranslatable(f"{function.__name__} takes {len(self.names)} arguments, not {len(types)}")
        self.arguments = types
        self.variables: dict[str, Type] = dict(zip(self.names, types, strict=True))
        self.result: Type | None = None

    def translate(self, name: str) -> str:
        """The function's text; passes are made until the types of variables and result stand."""
        while True:
            before = (dict(self.variables), self.result)
            self.begin()
            self.loops: list[tuple[str, str, list[bool]]] = []
            self.block(self.tree.body)
            if before == (self.variables, self.result):
                break
        if not self.done:
            self.leave(None)
        header = [f"define internal fastcc {self.returned()} {name}({', '.join(self.parameters())}) nounwind {{"]
        return "\n".join([*header, *self.entry(), *self.slots, *self.lines, "}"])

    def returned(self) -> str:
        return "void" if self.result is None else llvm_type(self.result)

    def parameters(self) -> list[str]:
        parts = []
        for k, kind in enumerate(self.arguments):
            parts += [f"ptr %a{k}", f"i64 %a{k}n"] if isinstance(kind, Array) else [f"{llvm_type(kind)} %a{k}"]
        return parts

    def entry(self) -> list[str]:
        lines = []
        for name, kind in self.variables.items():
            if isinstance(kind, Array):
                lines += [f"%v.{name} = alloca ptr", f"%v.{name}.n = alloca i64"]
            elif isinstance(kind, str):
                lines += [f"%v.{name} = alloca {llvm_type(kind)}", f"store {llvm_type(kind)} 0, ptr %v.{name}"]
            else:
                raise Untranslatable(f"line {self.tree.lineno}: a variable of type {kind}")
        kept, self.lines = self.lines, lines
        for k, (name, kind) in enumerate(zip(self.names, self.arguments, strict=True)):
            text = (f"%a{k}", f"%a{k}n") if isinstance(kind, Array) else f"%a{k}"
            self.store(name, Value(kind, text))
        self.lines = kept
        return lines

    # ------------------------------------------------------------------------------------------------ small parts

    def store(self, name: str, value: Value) -> None:
        kind = self.variables[name]
        value = self.converted(value, kind)
        if isinstance(kind, Array):
            self.lines.append(f"store ptr {value.text[0]}, ptr %v.{name}")
            self.lines.append(f"store i64 {value.text[1]}, ptr %v.{name}.n")
        else:
            self.lines.append(f"store {llvm_type(kind)} {value.text}, ptr %v.{name}")

    # ------------------------------------------------------------------------------------------------ statements

    def block(self, statements: list[ast.stmt]) -> None:
        for statement in statements:
            if self.done:
                return
            getattr(self, f"on_{type(statement).__name__}", self.on_unknown)(statement)

    def on_unknown(self, node: ast.AST) -> None:
        raise self.fail(node)

    def on_Expr(self, node: ast.Expr) -> None:
        if not isinstance(node.value, ast.Constant):
            self.expression(node.value)

    def on_Pass(self, node: ast.Pass) -> None:
        pass

    def on_If(self, node: ast.If) -> None:
        yes, no, end = self.label(), self.label(), self.label()
        self.condition(node.test, yes, no)
        self.open(yes)
        self.block(node.body)
        open_ends = not self.done
        self.jump(end)
        self.open(no)
        self.block(node.orelse)
        open_ends = open_ends or not self.done
        self.jump(end)
        if open_ends:
            self.open(end)

    def on_While(self, node: ast.While) -> None:
        head, body, end = self.label(), self.label(), self.label()
        self.jump(head)
        self.open(head)
        endless = isinstance(node.test, ast.Constant) and bool(node.test.value)
        if endless:
            self.jump(body)
        else:
            self.condition(node.test, body, end)
        self.open(body)
        left: list[bool] = []
        self.loops.append((head, end, left))
        self.block(node.body)
        self.loops.pop()
        self.jump(head)
        if left or not endless:
            self.open(end)

    def on_For(self, node: ast.For) -> None:
        call = node.iter
        if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "range"):
            raise self.fail(node.iter)
        bounds = [self.number(self.expression(a)).text for a in call.args]
        step = 1
        if len(bounds) == 3:
            try:
                step = ast.literal_eval(call.args[2])
            except ValueError:
                raise self.fail(call) from None
        first, stop = ("0", bounds[0]) if len(bounds) == 1 else bounds[:2]
        self.counter += 1
        slot = f"%i{self.counter}"
        self.slots.append(f"{slot} = alloca i64")
        self.lines.append(f"store i64 {first}, ptr {slot}")
        head, body, after, end = self.label(), self.label(), self.label(), self.label()
        self.jump(head)
        self.open(head)
        now = self.new(f"load i64, ptr {slot}")
        self.branch(self.new(f"icmp {'slt' if step > 0 else 'sgt'} i64 {now}, {stop}"), body, end)
        self.open(body)
        self.assign(node.target, Value(INT, now))
        self.loops.append((after, end, []))
        self.block(node.body)
        self.loops.pop()
        self.jump(after)
        self.open(after)
        following = self.new(f"load i64, ptr {slot}")
        following = self.new(f"add nsw i64 {following}, {step}")
        self.lines.append(f"store i64 {following}, ptr {slot}")
        self.jump(head)
        self.open(end)

    def on_Continue(self, node: ast.Continue) -> None:
        self.jump(self.loops[-1][0])

    def on_Break(self, node: ast.Break) -> None:
        self.loops[-1][2].append(True)
        self.jump(self.loops[-1][1])

    def on_Return(self, node: ast.Return) -> None:
        self.leave(None if node.value is None else self.expression(node.value))

    def leave(self, value: Value | None) -> None:
        """Return; what falls off the end of a function that has a result is never reached."""
        if value is not None:
            self.result = join(self.result, value.type)
        if self.result is None:
            self.lines.append("ret void")
        elif value is None:
            self.lines.append("unreachable")
        else:
            kind, text = self.result, self.converted(value, self.result).text
            parts: list[str] = []
            if isinstance(kind, tuple):
                parts = [f"{llvm_type(own)} {part.text}" for part, own in zip(text, kind, strict=True)]
            elif isinstance(kind, Array):
                parts = [f"ptr {text[0]}", f"i64 {text[1]}"]
            whole = "undef"
            for k, part in enumerate(parts):
                whole = self.new(f"insertvalue {llvm_type(kind)} {whole}, {part}, {k}")
            text = whole if parts else text
            self.lines.append(f"ret {llvm_type(kind)} {text}")
        self.done = True

    def on_Assign(self, node: ast.Assign) -> None:
        value = self.expression(node.value)
        for target in node.targets:
            self.assign(target, value)

    def assign(self, target: ast.expr, value: Value) -> None:
        if isinstance(target, ast.Name):
            self.variables[target.id] = join(self.variables.get(target.id), value.type)
            self.store(target.id, value)
        elif isinstance(target, ast.Subscript):
            array, index = self.expression(target.value), self.expression(target.slice)
            self.write(array, self.place(array, index), value)
        elif isinstance(target, ast.Tuple) and isinstance(value.type, tuple) and len(target.elts) == len(value.text):
            for part, own in zip(target.elts, value.text, strict=True):
                self.assign(part, own)
        else:
            raise self.fail(target)

    def on_AugAssign(self, node: ast.AugAssign) -> None:
        if isinstance(node.target, ast.Name):
            old = self.variable(node.target.id)
            self.assign(node.target, self.binary(node, node.op, old, self.expression(node.value)))
        elif isinstance(node.target, ast.Subscript):
            array, index = self.expression(node.target.value), self.expression(node.target.slice)
            pointer = self.place(array, index)
            assert isinstance(array.type, Array)
            value = self.binary(node, node.op, self.load(array.type, pointer), self.expression(node.value))
            self.write(array, pointer, value)
        else:
            raise self.fail(node)

    # ------------------------------------------------------------------------------------------------ conditions

    def condition(self, node: ast.expr, yes: str, no: str) -> None:
        """Go to one of two blocks."""
        if isinstance(node, ast.BoolOp):
            for operand in node.values[:-1]:
                following = self.label()
                if isinstance(node.op, ast.And):
                    self.condition(operand, following, no)
                else:
                    self.condition(operand, yes, following)
                self.open(following)
            self.condition(node.values[-1], yes, no)
        elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            self.condition(node.operand, no, yes)
        else:
            self.branch(self.truth(self.expression(node)), yes, no)

    # ------------------------------------------------------------------------------------------------ expressions

    def expression(self, node: ast.expr) -> Value:
        found: Value = getattr(self, f"of_{type(node).__name__}", self.of_unknown)(node)
        return found

    def of_unknown(self, node: ast.expr) -> Value:
        raise self.fail(node)

    def of_Constant(self, node: ast.Constant) -> Value:
        return self.constant(node, node.value)

    def constant(self, node: ast.expr, value: Any) -> Value:
        if isinstance(value, bool):
            return Value(BOOL, "true" if value else "false")
        if isinstance(value, int):
            return Value(INT, str((value + (1 << 63)) % (1 << 64) - (1 << 63)))
        raise self.fail(node)

    def named(self, name: str) -> Any:
        return self.free[name] if name in self.free else self.globals.get(name)

    def variable(self, name: str) -> Value:
        kind = self.variables[name]
        if isinstance(kind, Array):
            return Value(kind, (self.new(f"load ptr, ptr %v.{name}"), self.new(f"load i64, ptr %v.{name}.n")))
        return Value(kind, self.new(f"load {llvm_type(kind)}, ptr %v.{name}"))

    def of_Name(self, node: ast.Name) -> Value:
        if node.id in self.variables:
            return self.variable(node.id)
        return self.constant(node, self.named(node.id))

    def of_Tuple(self, node: ast.Tuple) -> Value:
        parts = [self.expression(part) for part in node.elts]
        return Value(tuple(part.type for part in parts), parts)

    def of_Attribute(self, node: ast.Attribute) -> Value:
        if node.attr != "size":
            raise self.fail(node)
        array = self.expression(node.value)
        if not isinstance(array.type, Array):
            raise self.fail(node)
        return Value(INT, array.text[1])

    def of_Subscript(self, node: ast.Subscript) -> Value:
        array = self.expression(node.value)
        if not isinstance(array.type, Array):
            raise self.fail(node)
        if isinstance(node.slice, ast.Slice):
            if node.slice.lower is None or node.slice.upper or node.slice.step:
                raise self.fail(node)
            first = self.number(self.expression(node.slice.lower)).text
            pointer = self.new(f"getelementptr {ELEMENTS[array.type.element][0]}, ptr {array.text[0]}, i64 {first}")
            return Value(array.type, (pointer, self.new(f"sub i64 {array.text[1]}, {first}")))
        return self.load(array.type, self.place(array, self.expression(node.slice)))

    def of_UnaryOp(self, node: ast.UnaryOp) -> Value:
        value = self.expression(node.operand)
        if isinstance(node.op, ast.Not):
            return Value(BOOL, self.new(f"xor i1 {self.truth(value)}, true"))
        value = self.number(value)
        if isinstance(node.op, ast.USub):
            return Value(value.type, self.new(f"sub i64 0, {value.text}"))
        if isinstance(node.op, ast.Invert):
            return Value(value.type, self.new(f"xor i64 {value.text}, -1"))
        raise self.fail(node)

    def of_BinOp(self, node: ast.BinOp) -> Value:
        return self.binary(node, node.op, self.expression(node.left), self.expression(node.right))

    def of_Compare(self, node: ast.Compare) -> Value:
        left, found = self.expression(node.left), ""
        for op, part in zip(node.ops, node.comparators, strict=True):
            if isinstance(op, ast.In):
                if not isinstance(part, ast.Tuple):
                    raise self.fail(node)
                own = "false"
                for choice in part.elts:
                    same = self.compared(node, ast.Eq(), left, self.expression(choice))
                    own = self.new(f"or i1 {own}, {same}")
            else:
                right = self.expression(part)
                own = self.compared(node, op, left, right)
                left = right
            found = self.new(f"and i1 {found}, {own}") if found else own
        return Value(BOOL, found)

    def merged(self, parts: list[tuple[str, Callable[[], Value]]], end: str) -> Value:
        """The value of whichever block was run: each is (label, what it computes)."""
        made: list[tuple[Value, int]] = []
        for label, compute in parts:
            self.open(label)
            made.append((compute(), len(self.lines)))
            self.jump(end)
        kind: Type | None = None
        for value, _ in made:
            kind = join(kind, value.type)
        assert kind is not None
        # conversions and stores go where each block ends, the last first, as they move what follows
        slots = self.merge_slots(kind)
        for value, at in reversed(made):
            kept, self.lines = self.lines[at:], self.lines[:at]
            self.put(slots, kind, value)
            self.lines += kept
        self.open(end)
        return self.got(slots, kind)

    def of_IfExp(self, node: ast.IfExp) -> Value:
        yes, no, end = self.label(), self.label(), self.label()
        self.condition(node.test, yes, no)
        parts = [(yes, lambda: self.expression(node.body)), (no, lambda: self.expression(node.orelse))]
        return self.merged(parts, end)

    def of_BoolOp(self, node: ast.BoolOp) -> Value:
        """As a value: where all operands are truth values or only its truth matters."""
        yes, no, end = self.label(), self.label(), self.label()
        self.condition(node, yes, no)
        return self.merged([(yes, lambda: Value(BOOL, "true")), (no, lambda: Value(BOOL, "false"))], end)

    # ------------------------------------------------------------------------------------------------ calls

    def of_Call(self, node: ast.Call) -> Value:
        if node.keywords:
            raise self.fail(node)
        arguments = [self.expression(a) for a in node.args]
        if isinstance(node.func, ast.Attribute):
            return self.cast(node, node.func.attr, arguments[0])
        if not isinstance(node.func, ast.Name):
            raise self.fail(node)
        if node.func.id in ("min", "max") and self.named(node.func.id) is None:
            return self.extreme(node, arguments)
        called = self.named(node.func.id)
        if isinstance(called, Pointers):
            return self.through_pointer(node, called, arguments)
        if not isinstance(called, Inner):
            raise self.fail(node)
        found = self.call(called.function, arguments)
        if node.func.id == "_i64" and isinstance(node.args[1], ast.Name):
            place = {MAT: "arena", SCR: "scratch"}.get(self.named(node.args[1].id), "")
            found = Value(Array("int64", place), found.text)
        elif node.func.id == "_context":
            found = Value(Array("int64", "context"), found.text)
        return found

    def cast(self, node: ast.Call, name: str, value: Value) -> Value:
        if name == "int32":
            short = self.new(f"trunc i64 {self.number(value).text} to i32")
            return Value(INT, self.new(f"sext i32 {short} to i64"))
        if name in ("int64", "uint64"):
            return Value(INT if name == "int64" else UINT, self.number(value).text)
        raise self.fail(node)

    def extreme(self, node: ast.Call, values: list[Value]) -> Value:
        assert isinstance(node.func, ast.Name)
        best = self.number(values[0])
        for value in map(self.number, values[1:]):
            if best.type != INT or value.type != INT:
                raise self.fail(node)
            order = "slt" if node.func.id == "min" else "sgt"
            better = self.new(f"icmp {order} i64 {value.text}, {best.text}")
            best = Value(INT, self.new(f"select i1 {better}, i64 {value.text}, i64 {best.text}"))
        return best

    def through_pointer(self, node: ast.Call, called: Pointers, arguments: list[Value]) -> Value:
        if called.form == "fence":
            self.lines.append("fence acq_rel")
            return Value(INT, "0")
        if called.form == "lowest":
            return Value(INT, self.new(f"call i64 @llvm.cttz.i64(i64 {self.number(arguments[0]).text}, i1 false)"))
        if called.form == "seize":
            pointer = self.new(f"inttoptr i64 {self.number(arguments[0]).text} to ptr")
            return Value(INT, self.new(f"atomicrmw xchg ptr {pointer}, i64 1 acq_rel"))
        if called.form == "carray":
            kind, shape = arguments[0].type, arguments[1]
            if not isinstance(kind, Pointer) or not isinstance(shape.type, tuple):
                raise self.fail(node)
            pointer = self.new(f"inttoptr i64 {arguments[0].text} to ptr")
            return Value(Array(kind.element), (pointer, self.number(shape.text[0]).text))
        address = self.number(arguments[0]).text
        if called.form == "pointer":
            return Value(Pointer(called.element), address)
        llvm, _, _ = ELEMENTS[called.element]
        index = self.number(arguments[1]).text
        base = self.new(f"inttoptr i64 {address} to ptr")
        return self.load(Array(called.element), self.new(f"getelementptr {llvm}, ptr {base}, i64 {index}"))

    def call(self, function: Callable[..., Any], arguments: list[Value]) -> Value:
        """Call a function; what gives nothing gives 0."""
        name, result = self.module.function(function, tuple(a.type for a in arguments))
        passed = []
        for argument in arguments:
            if isinstance(argument.type, Array):
                passed += [f"ptr {argument.text[0]}", f"i64 {argument.text[1]}"]
            else:
                passed.append(f"{llvm_type(argument.type)} {argument.text}")
        if result is None:
            self.lines.append(f"call fastcc void {name}({', '.join(passed)})")
            return Value(INT, "0")
        made = self.new(f"call fastcc {llvm_type(result)} {name}({', '.join(passed)})")
        if isinstance(result, Array):
            parts = [self.new(f"extractvalue {llvm_type(result)} {made}, {k}") for k in range(2)]
            return Value(result, tuple(parts))
        if not isinstance(result, tuple):
            return Value(result, made)
        own = [self.new(f"extractvalue {llvm_type(result)} {made}, {k}") for k in range(len(result))]
        return Value(result, [Value(kind, text) for kind, text in zip(result, own, strict=True)])
