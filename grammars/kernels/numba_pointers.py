"""Memory by address for numba (see `pointers`): addresses as pointers, and loads through them."""

from __future__ import annotations

from numba import types
from numba.extending import intrinsic


@intrinsic
def _pointer32(typingctx, address):
    def codegen(context, builder, signature, args):
        return builder.inttoptr(args[0], context.get_value_type(signature.return_type))

    return types.CPointer(types.int32)(types.int64), codegen


@intrinsic
def _pointer8(typingctx, address):
    def codegen(context, builder, signature, args):
        return builder.inttoptr(args[0], context.get_value_type(signature.return_type))

    return types.CPointer(types.uint8)(types.int64), codegen


@intrinsic
def _pointer64(typingctx, address):
    def codegen(context, builder, signature, args):
        return builder.inttoptr(args[0], context.get_value_type(signature.return_type))

    return types.CPointer(types.int64)(types.int64), codegen


@intrinsic
def _i4(typingctx, base, index):
    """int32 at base + 4 * index, as int64."""

    def codegen(context, builder, signature, args):
        i32 = context.get_value_type(types.int32)
        pointer = builder.gep(builder.inttoptr(args[0], i32.as_pointer()), [args[1]])
        return builder.sext(builder.load(pointer), context.get_value_type(types.int64))

    return types.int64(types.int64, types.int64), codegen


@intrinsic
def _u1(typingctx, base, index):
    """uint8 at base + index, as int64."""

    def codegen(context, builder, signature, args):
        i8 = context.get_value_type(types.uint8)
        pointer = builder.gep(builder.inttoptr(args[0], i8.as_pointer()), [args[1]])
        return builder.zext(builder.load(pointer), context.get_value_type(types.int64))

    return types.int64(types.int64, types.int64), codegen


@intrinsic
def _lowest(typingctx, bits):
    """Number of the lowest bit that is set; 64 where none is."""

    def codegen(context, builder, signature, args):
        return builder.cttz(args[0], context.get_constant(types.boolean, False))

    return types.int64(types.int64), codegen


@intrinsic
def _seize(typingctx, address):
    """Write 1 to the int64 at an address; what was there, as one step that no other thread can come between."""

    def codegen(context, builder, signature, args):
        pointer = builder.inttoptr(args[0], context.get_value_type(types.int64).as_pointer())
        one = context.get_constant(types.int64, 1)
        return builder.atomic_rmw("xchg", pointer, one, "acq_rel")

    return types.int64(types.int64), codegen


@intrinsic
def _fence(typingctx):
    """Other threads see what was written before this if they see what is written after it, and the like for reads."""

    def codegen(context, builder, signature, args):
        builder.fence("acq_rel")
        return context.get_dummy_value()

    return types.none(), codegen
