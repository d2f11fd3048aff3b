"""Batch normalisation, residual addition and leaky rectifier in two kernels each way.

In Triton, for a training step on a GPU. Feature maps [n, w, h, w'] in channels-last memory
are taken as a matrix of n·h·w' rows and w columns, which torch's own operations read and
write about twice as often. A program reduces a block of rows, and the next kernel adds the
blocks up in their order, in fp32: the same input gives the same bits. Imported only where
it is used, since nothing else needs Triton.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor, nn

COLUMNS = tl.constexpr(32)  # of a block
ROWS = 16, 512  # of a block, at least and at most
BLOCKS = 128  # of rows, if there are enough
EPSILON, MOMENTUM = tl.constexpr(1e-5), tl.constexpr(0.1)  # those of nn.BatchNorm2d


@triton.jit
def places(rows, width, ROWS: tl.constexpr):
    """A program's block: where it lies, what of it exists, and the same of its columns."""
    row = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    column = tl.program_id(1) * COLUMNS + tl.arange(0, COLUMNS)
    exists = (row < rows)[:, None] & (column < width)[None, :]
    return row[:, None] * width + column[None, :], exists, column, column < width


@triton.jit
def read(tensor, place, exists):
    return tl.load(tensor + place, exists, 0.0).to(tl.float32)


@triton.jit
def moments(x, parts, rows, width, ROWS: tl.constexpr):
    """A block's means and sums of squared distances from them: parts [2, blocks, w]."""
    place, exists, column, inside = places(rows, width, ROWS)
    values = read(x, place, exists)
    mean = tl.sum(values, 0) / tl.minimum(ROWS, rows - tl.program_id(0) * ROWS)
    distance = tl.where(exists, values - mean[None, :], 0.0)
    at = parts + tl.program_id(0) * width + column
    tl.store(at, mean, inside)
    tl.store(at + tl.num_programs(0) * width, tl.sum(distance * distance, 0), inside)


@triton.jit
def forwards(
    x, add, y, parts, weight, bias, saved, mean, var, rows, width, slope, ROWS: tl.constexpr
):
    """Chan et al.'s sum of the blocks (1983); then one pass over the maps. `saved` [2, w]
    gets the minibatch's mean and one over its deviation."""
    place, exists, column, inside = places(rows, width, ROWS)
    blocks = tl.num_programs(0)
    centre = tl.zeros([COLUMNS], tl.float32)
    squares = tl.zeros([COLUMNS], tl.float32)
    for block in range(blocks):
        count = tl.minimum(ROWS, rows - block * ROWS)
        share = count / (block * ROWS + count)
        off = read(parts, block * width + column, inside) - centre
        squares += read(parts, (blocks + block) * width + column, inside)
        squares += off * off * count * (1 - share)
        centre += off * share
    inverse = 1 / tl.sqrt(squares / rows + EPSILON)
    if tl.program_id(0) == 0:
        tl.store(saved + column, centre, inside)
        tl.store(saved + width + column, inverse, inside)
        old = read(mean, column, inside)
        tl.store(mean + column, old + MOMENTUM * (centre - old), inside)
        old = read(var, column, inside)
        new = squares / (rows - 1)
        tl.store(var + column, old + MOMENTUM * (new - old), inside)
    scale = read(weight, column, inside) * inverse
    shift = read(bias, column, inside) - centre * scale
    values = read(x, place, exists) * scale[None, :] + shift[None, :]
    if add is not None:
        values += read(add, place, exists)
    values = tl.where(values > 0, values, values * slope)
    tl.store(y + place, values.to(y.dtype.element_ty), exists)


@triton.jit
def behind(dy, y, place, exists, slope):
    """The gradient behind the rectifier, whose output tells where it let all through."""
    gradient = read(dy, place, exists)
    return tl.where(read(y, place, exists) > 0, gradient, gradient * slope)


@triton.jit
def normalised(x, saved, place, exists, column, inside, width):
    centre, inverse = read(saved, column, inside), read(saved, width + column, inside)
    return (read(x, place, exists) - centre[None, :]) * inverse[None, :]


@triton.jit
def sums(x, y, dy, saved, parts, rows, width, slope, ROWS: tl.constexpr):
    """A block's share of the gradients of bias and weight: parts [2, blocks, w]."""
    place, exists, column, inside = places(rows, width, ROWS)
    gradient = behind(dy, y, place, exists, slope)
    values = normalised(x, saved, place, exists, column, inside, width)
    at = parts + tl.program_id(0) * width + column
    tl.store(at, tl.sum(gradient, 0), inside)
    tl.store(at + tl.num_programs(0) * width, tl.sum(gradient * values, 0), inside)


@triton.jit
def backwards(
    x, y, dy, saved, parts, weight, dx, dadd, dnorm, rows, width, slope, ROWS: tl.constexpr
):
    """The gradients of both kinds of maps, and `dnorm` [2, w] of bias and weight."""
    place, exists, column, inside = places(rows, width, ROWS)
    blocks = tl.num_programs(0)
    of_bias = tl.zeros([COLUMNS], tl.float32)
    of_weight = tl.zeros([COLUMNS], tl.float32)
    for block in range(blocks):
        of_bias += read(parts, block * width + column, inside)
        of_weight += read(parts, (blocks + block) * width + column, inside)
    if tl.program_id(0) == 0:
        tl.store(dnorm + column, of_bias, inside)
        tl.store(dnorm + width + column, of_weight, inside)
    gradient = behind(dy, y, place, exists, slope)
    if dadd is not None:
        tl.store(dadd + place, gradient.to(dadd.dtype.element_ty), exists)
    values = normalised(x, saved, place, exists, column, inside, width)
    gradient -= (of_bias[None, :] + values * of_weight[None, :]) / rows
    scale = read(weight, column, inside) * read(saved, width + column, inside)
    tl.store(dx + place, (gradient * scale[None, :]).to(dx.dtype.element_ty), exists)


class NormalisedSum(torch.autograd.Function):
    @staticmethod
    def forward(context, x: Tensor, beside: Tensor | None, weight, bias, norm, slope):
        n, width, *side = x.shape
        rows = n * side[0] * side[1]
        block = min(max(triton.next_power_of_2(rows // BLOCKS), ROWS[0]), ROWS[1])
        grid = triton.cdiv(rows, block), triton.cdiv(width, COLUMNS.value)
        sizes = {"rows": rows, "width": width, "ROWS": block}
        sizes["num_warps"] = max(1, block // 32)  # 32 numbers a thread
        x, beside = channels_last(x), channels_last(beside)
        y, saved = torch.empty_like(x), weight.new_empty(2, width)
        parts = saved.new_empty(2, grid[0], width)
        moments[grid](x, parts, **sizes)
        given = x, beside, y, parts, weight, bias, saved, norm.running_mean
        forwards[grid](*given, norm.running_var, slope=slope, **sizes)
        context.save_for_backward(x, y, saved, weight)
        context.how = grid, sizes, slope, beside is not None
        return y

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(context, dy: Tensor):
        x, y, saved, weight = context.saved_tensors
        grid, sizes, slope, adds = context.how
        dy, dx, dnorm = channels_last(dy), torch.empty_like(x), torch.empty_like(saved)
        dbeside = torch.empty_like(x) if adds else None
        parts = saved.new_empty(2, grid[0], len(weight))
        sums[grid](x, y, dy, saved, parts, slope=slope, **sizes)
        given = x, y, dy, saved, parts, weight, dx, dbeside, dnorm
        backwards[grid](*given, slope=slope, **sizes)
        return dx, dbeside, dnorm[1], dnorm[0], None, None


def channels_last(x: Tensor | None) -> Tensor | None:
    return None if x is None else x.contiguous(memory_format=torch.channels_last)


def rectified_norm(
    norm: nn.BatchNorm2d, x: Tensor, slope: float, beside: Tensor | None = None
) -> Tensor:
    """leaky_relu(norm(x) + beside, slope) in training mode, for maps in bf16 or fp32."""
    if norm.num_batches_tracked is not None:  # else they are counted together
        norm.num_batches_tracked.add_(1)
    return NormalisedSum.apply(x, beside, norm.weight, norm.bias, norm, slope)
