"""Run by `test_triton`: compile the Triton kernels for an H200 (compute capability 9.0), which needs no GPU."""

from __future__ import annotations

from typing import Any

from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource, compile

from idn_gym.batched import triton_kernels


def compiled(kernel: Any, arguments: str, constants: dict[str, Any], warps: int) -> None:
    """Compile a kernel for arguments of these types, in order."""
    types = iter(arguments.split())
    signature = {name: "constexpr" if name in constants else next(types) for name in kernel.arg_names}
    source = ASTSource(kernel, signature, constants)  # the name of the latter differs between versions
    assert compile(source, target=GPUTarget("cuda", 90, 32), options={"num_warps": warps}).asm["cubin"]


def main() -> None:
    """Raise on the first kernel that does not compile."""
    f = "fp32"
    tables = f"*fp64 *fp64 *i32 *i32 *i32 *i32 *{f} *i32 *{f} *{f} *i8 *i32 *i32 *{f} *i32 i32 i32 i32 i32 fp32"
    tables += " i32" * 6
    for gradient, serve, y, classes in ((True, False, f, 1), (False, True, "i8", 1), (True, False, f, 3)):
        outputs = "*fp64 " * 7 if serve else f"*{f} " * 7
        constants = {"CLASSES": classes, "GRADIENT": gradient, "SERVE": serve, "BLOCK": 256}
        compiled(triton_kernels.slots, f"*{f} *{f} *{y} {outputs} {tables}", constants, 8)
    mirror = f"*{f} *{f} *fp64 *fp64 *fp64 *{f} *{f} *i32 *fp64" + " i32" * 5
    compiled(triton_kernels.mirror, mirror, {"WITH_STATE": True, "WIDTH": 256}, 4)
    compiled(triton_kernels.fill, f"*{f} *i8 *fp64 *i32 *fp64 i32 i32 i32", {"PER_MB": True, "WIDTH": 256}, 4)
    pairs = f"*fp64 *{f} *i64 *fp64 *fp64 *i8 *i32 *i32 *fp64 i32 i32"
    compiled(triton_kernels.move_pairs, pairs, {"COIN": False, "LANES": 32}, 1)


if __name__ == "__main__":
    main()
