"""Which functions are methods of a tensor.

A method is the very function of mydl/functions, its first argument being the tensor; a name with a trailing
underscore is the same function taking its result into the tensor's own memory.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mydl.functions import (
    arithmetic,
    comparison,
    conversion,
    elementwise,
    joining,
    linalg,
    matrices,
    random,
    reduction,
    repeating,
    scan,
    selection,
    shape,
    softmax,
    sorting,
    special,
    statistics,
    triangles,
    trigonometry,
)
from mydl.functions.arguments import Number, Tensor
from mydl.operators import in_place

__all__ = ["Methods"]


def _reshaping(function: Callable[..., Any]) -> Callable[..., Any]:
    """The method that gives the tensor itself the shape of the view that `function` makes of it."""

    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        return self._take_shape(function, *args, **kwargs)

    method.__name__ = method.__qualname__ = f"{function.__name__}_"
    method.__doc__ = f"`{function.__name__}` of the tensor itself, whose memory stays; returns it."
    return method


class Methods:
    """The functions that are methods of a tensor."""

    add = arithmetic.add
    addcdiv = arithmetic.addcdiv
    addcmul = arithmetic.addcmul
    div = arithmetic.div
    divide = arithmetic.divide
    floor_divide = arithmetic.floor_divide
    fmod = arithmetic.fmod
    lerp = arithmetic.lerp
    maximum = arithmetic.maximum
    minimum = arithmetic.minimum
    mul = arithmetic.mul
    multiply = arithmetic.multiply
    neg = arithmetic.neg
    negative = arithmetic.negative
    pow = arithmetic.pow
    remainder = arithmetic.remainder
    sub = arithmetic.sub
    subtract = arithmetic.subtract
    true_divide = arithmetic.true_divide

    abs = elementwise.abs
    absolute = elementwise.absolute
    ceil = elementwise.ceil
    clamp = elementwise.clamp
    clamp_max = elementwise.clamp_max
    clamp_min = elementwise.clamp_min
    clip = elementwise.clip
    erf = elementwise.erf
    exp = elementwise.exp
    exp2 = elementwise.exp2
    expm1 = elementwise.expm1
    fix = elementwise.fix
    floor = elementwise.floor
    frac = elementwise.frac
    log = elementwise.log
    log10 = elementwise.log10
    log1p = elementwise.log1p
    log2 = elementwise.log2
    nan_to_num = elementwise.nan_to_num
    reciprocal = elementwise.reciprocal
    relu = elementwise.relu
    round = elementwise.round
    rsqrt = elementwise.rsqrt
    sigmoid = elementwise.sigmoid
    sign = elementwise.sign
    sqrt = elementwise.sqrt
    square = elementwise.square
    tanh = elementwise.tanh
    trunc = elementwise.trunc

    def where(self, condition: Tensor, other: Tensor | Number) -> Tensor:
        """Itself where the condition holds, else `other`."""
        return elementwise.where(condition, self, other)

    acos = trigonometry.acos
    acosh = trigonometry.acosh
    arccos = trigonometry.arccos
    arccosh = trigonometry.arccosh
    arcsin = trigonometry.arcsin
    arcsinh = trigonometry.arcsinh
    arctan = trigonometry.arctan
    arctan2 = trigonometry.arctan2
    arctanh = trigonometry.arctanh
    asin = trigonometry.asin
    asinh = trigonometry.asinh
    atan = trigonometry.atan
    atan2 = trigonometry.atan2
    atanh = trigonometry.atanh
    cos = trigonometry.cos
    cosh = trigonometry.cosh
    sin = trigonometry.sin
    sinh = trigonometry.sinh
    tan = trigonometry.tan

    copysign = special.copysign
    deg2rad = special.deg2rad
    erfc = special.erfc
    erfinv = special.erfinv
    float_power = special.float_power
    fmax = special.fmax
    fmin = special.fmin
    heaviside = special.heaviside
    hypot = special.hypot
    logaddexp = special.logaddexp
    logit = special.logit
    positive = special.positive
    rad2deg = special.rad2deg
    sgn = special.sgn
    sinc = special.sinc
    xlogy = special.xlogy

    allclose = comparison.allclose
    bitwise_and = comparison.bitwise_and
    bitwise_not = comparison.bitwise_not
    bitwise_or = comparison.bitwise_or
    bitwise_xor = comparison.bitwise_xor
    eq = comparison.eq
    equal = comparison.equal
    ge = comparison.ge
    gt = comparison.gt
    isclose = comparison.isclose
    isfinite = comparison.isfinite
    isinf = comparison.isinf
    isnan = comparison.isnan
    le = comparison.le
    logical_and = comparison.logical_and
    logical_not = comparison.logical_not
    logical_or = comparison.logical_or
    logical_xor = comparison.logical_xor
    lt = comparison.lt
    ne = comparison.ne
    bitwise_left_shift = comparison.bitwise_left_shift
    bitwise_right_shift = comparison.bitwise_right_shift
    greater = comparison.greater
    greater_equal = comparison.greater_equal
    is_nonzero = comparison.is_nonzero
    isneginf = comparison.isneginf
    isposinf = comparison.isposinf
    less = comparison.less
    less_equal = comparison.less_equal
    not_equal = comparison.not_equal
    signbit = comparison.signbit

    all = reduction.all
    amax = reduction.amax
    amin = reduction.amin
    aminmax = reduction.aminmax
    any = reduction.any
    argmax = reduction.argmax
    argmin = reduction.argmin
    count_nonzero = reduction.count_nonzero
    logsumexp = reduction.logsumexp
    max = reduction.max
    mean = reduction.mean
    min = reduction.min
    nanmean = reduction.nanmean
    nansum = reduction.nansum
    norm = reduction.norm
    prod = reduction.prod
    std = reduction.std
    sum = reduction.sum
    var = reduction.var

    cumprod = scan.cumprod
    cumsum = scan.cumsum
    diff = scan.diff
    cummax = scan.cummax
    cummin = scan.cummin

    argsort = sorting.argsort
    bincount = sorting.bincount
    kthvalue = sorting.kthvalue
    median = sorting.median
    msort = sorting.msort
    sort = sorting.sort
    topk = sorting.topk
    unique = sorting.unique
    nanmedian = sorting.nanmedian

    corrcoef = statistics.corrcoef
    cov = statistics.cov
    histc = statistics.histc
    mode = statistics.mode
    quantile = statistics.quantile
    unique_consecutive = statistics.unique_consecutive

    addmm = linalg.addmm
    addmv = linalg.addmv
    baddbmm = linalg.baddbmm
    bmm = linalg.bmm
    dot = linalg.dot
    inner = linalg.inner
    matmul = linalg.matmul
    mm = linalg.mm
    mv = linalg.mv
    outer = linalg.outer
    addbmm = linalg.addbmm
    addr = linalg.addr
    cross = linalg.cross
    dist = linalg.dist
    ger = linalg.ger
    kron = linalg.kron
    matrix_power = linalg.matrix_power
    renorm = linalg.renorm
    vdot = linalg.vdot

    det = matrices.det
    inverse = matrices.inverse
    logdet = matrices.logdet
    pinverse = matrices.pinv
    slogdet = matrices.slogdet

    log_softmax = softmax.log_softmax
    softmax = softmax.softmax

    broadcast_to = shape.broadcast_to
    expand = shape.expand
    expand_as = shape.expand_as
    flatten = shape.flatten
    moveaxis = shape.moveaxis
    movedim = shape.movedim
    narrow = shape.narrow
    permute = shape.permute
    ravel = shape.ravel
    reshape = shape.reshape
    reshape_as = shape.reshape_as
    select = shape.select
    squeeze = shape.squeeze
    swapaxes = shape.swapaxes
    swapdims = shape.swapdims
    t = shape.t
    transpose = shape.transpose
    unflatten = shape.unflatten
    unsqueeze = shape.unsqueeze
    view = shape.view
    view_as = shape.view_as
    adjoint = shape.adjoint
    unfold = shape.unfold
    expand_dims = shape.unsqueeze

    chunk = joining.chunk
    split = joining.split
    tensor_split = joining.tensor_split
    unbind = joining.unbind
    dsplit = joining.dsplit
    hsplit = joining.hsplit
    split_with_sizes = joining.split_with_sizes
    vsplit = joining.vsplit

    flip = repeating.flip
    fliplr = repeating.fliplr
    flipud = repeating.flipud
    repeat = repeating.repeat
    repeat_interleave = repeating.repeat_interleave
    roll = repeating.roll
    rot90 = repeating.rot90
    tile = repeating.tile

    diag = triangles.diag
    diag_embed = triangles.diag_embed
    diagflat = triangles.diagflat
    diagonal = triangles.diagonal
    trace = triangles.trace
    tril = triangles.tril
    triu = triangles.triu

    argwhere = selection.argwhere
    gather = selection.gather
    index_add = selection.index_add
    index_copy = selection.index_copy
    index_fill = selection.index_fill
    index_select = selection.index_select
    masked_fill = selection.masked_fill
    masked_scatter = selection.masked_scatter
    masked_select = selection.masked_select
    nonzero = selection.nonzero
    scatter = selection.scatter
    scatter_add = selection.scatter_add
    take = selection.take
    take_along_dim = selection.take_along_dim
    index_put = selection.index_put
    put = selection.put
    scatter_reduce = selection.scatter_reduce

    to = conversion.to
    cpu = conversion.cpu
    cuda = conversion.cuda
    double = conversion.double
    half = conversion.half
    long = conversion.long
    short = conversion.short
    byte = conversion.byte
    char = conversion.char
    type_as = conversion.type_as
    clone = conversion.clone
    contiguous = conversion.contiguous
    float = conversion.float_
    int = conversion.int_
    bool = conversion.bool_

    bernoulli = random.bernoulli
    bernoulli_ = random.bernoulli_
    exponential_ = random.exponential_
    log_normal_ = random.log_normal_
    multinomial = random.multinomial
    normal_ = random.normal_
    random_ = random.random_
    uniform_ = random.uniform_


_IN_PLACE = """
add addcdiv addcmul div divide floor_divide fmod lerp mul multiply neg negative pow remainder sub subtract
true_divide
abs absolute ceil clamp clamp_max clamp_min clip erf exp exp2 expm1 floor frac log log10 log1p log2 nan_to_num
reciprocal relu round rsqrt sigmoid sign sqrt square tanh trunc fix
copysign deg2rad erfc erfinv float_power heaviside hypot logit rad2deg sgn sinc xlogy
acos acosh asin asinh atan atan2 atanh cos cosh sin sinh tan arccos arccosh arcsin arcsinh arctan arctan2 arctanh
bitwise_and bitwise_not bitwise_or bitwise_xor eq ge gt le logical_and logical_not logical_or logical_xor lt ne
bitwise_left_shift bitwise_right_shift greater greater_equal less less_equal not_equal
cumprod cumsum
addmm addmv baddbmm addbmm addr renorm
tril triu
index_add index_copy index_fill masked_fill masked_scatter scatter scatter_add index_put put scatter_reduce
"""
for _name in _IN_PLACE.split():
    setattr(Methods, f"{_name}_", in_place(getattr(Methods, _name)))
for _name in ("squeeze", "swapaxes", "swapdims", "t", "transpose", "unsqueeze"):
    setattr(Methods, f"{_name}_", _reshaping(getattr(Methods, _name)))
