"""Normal numbers from their position: the same bits in any order, on any executor.

Number i of a stream is a hash of i and of the stream's two keys, so nothing is carried from one
to the next: a weight matrix can be drawn again for the way back instead of being kept, and the
loop becomes vector code. Each pair of hashes gives two normals by Box and Muller (1958),

    r = √(-2·log u),    (r·cos φ, r·sin φ),

with the angle φ in [-π/4, π/4) by polynomials, turned by a random quarter.
"""

import math

import numpy as np

from kernels.bits import exponent_bits, fma, polynomial, significand
from kernels.jit import jit, jit_as_written

Array = np.ndarray

LENGTH = 2**31
"""Normals of one stream, at most: beyond them second hashes of pairs meet first ones of others."""

MIX1, MIX2, MIX3 = np.uint32(0xED5AD4BB), np.uint32(0xAC4C1B51), np.uint32(0x31848BAB)
SHIFT1, SHIFT2, SHIFT3, SHIFT4 = np.uint32(17), np.uint32(11), np.uint32(15), np.uint32(14)
"""The hash "triple32" (C. Wellons, hash-prospector, public domain): each bit of the input flips
each bit of the output with a probability that is off 1/2 by 2e-5 on average."""

OTHER = np.uint32(0x9E3779B9)
"""What the second hash of a pair adds to the first key: 2³² by the golden ratio."""

UNIT = np.float32(2.0**-32)
HALF_UNIT = np.float32(2.0**-33)
"""u = h·2⁻³² + 2⁻³³ lies in (0, 1]: r is at most √(66·log 2) = 6.76."""

ANGLE = np.float32(math.pi / 2 * 2.0**-32)
"""A signed hash times this lies in [-π/4, π/4)."""

SWAP, SIGN1, SIGN2 = np.uint32(1), np.uint32(2), np.uint32(4)
"""Bits of the hash of the angle that turn it: too low to be seen in the angle."""

log_tail = polynomial(
    float32=[
        -0.4999999160780205,
        0.3333395024859329,
        -0.25001755061868414,
        0.19962070882990773,
        -0.16570512496431905,
        0.14917991807037365,
        -0.1430749698433745,
        0.08734759516437922,
    ],
    float64=[],
)
"""(log(1 + f) - f)/f² on [√½ - 1, √2 - 1], relative to log(1 + f): off by 3e-8."""

sin_tail = polynomial(
    float32=[-0.1666665460924143, 0.00833216074587099, -0.00019515281277971512], float64=[]
)
"""(sin φ/φ - 1)/φ² in φ² on |φ| ≤ π/4, off by 4e-9."""

cos_tail = polynomial(
    float32=[
        -0.49999999694467057,
        0.04166662035632475,
        -0.0013886681626024266,
        2.438356545936809e-5,
    ],
    float64=[],
)
"""(cos φ - 1)/φ² in φ² on |φ| ≤ π/4, off by 1e-10."""

LN2 = np.float32(math.log(2))
EXPONENT_OFFSET = np.float32(2.0**23 + 127)
"""What `exponent_bits` adds to the exponent."""

BLOCK = 128
"""Normals that are drawn together: the first of each pair, then the second of each. A position
is the same normal however many are drawn from where."""


@jit_as_written
def mix(x, key):
    """A 32-bit hash of x; the key enters in the middle, so that streams are no shifts.

    Numba makes 64 bits of what two numbers of 32 give; each cast takes them back.
    """
    x = np.uint32(x ^ np.uint32(x >> SHIFT1))
    x = np.uint32(x * MIX1)
    x = np.uint32(x ^ np.uint32(x >> SHIFT2) ^ key)
    x = np.uint32(x * MIX2)
    x = np.uint32(x ^ np.uint32(x >> SHIFT3))
    x = np.uint32(x * MIX3)
    return np.uint32(x ^ np.uint32(x >> SHIFT4))


@jit_as_written
def radius(h):
    """√(-2·log u), u from the hash."""
    u = fma(np.float32(h), UNIT, HALF_UNIT)
    f = significand(u) - np.float32(1)
    k = exponent_bits(u) - EXPONENT_OFFSET
    log = fma(k, LN2, fma(f * f, log_tail(f), f))
    return np.sqrt(np.float32(-2) * log)


@jit_as_written
def direction(h):
    """(cos, sin) of an angle that is uniform on the circle."""
    angle = np.float32(np.int32(h)) * ANGLE
    square = angle * angle
    s = fma(angle * square, sin_tail(square), angle)
    c = fma(square, cos_tail(square), np.float32(1))
    swaps = (h & SWAP) != 0
    x, y = (s if swaps else c), (c if swaps else s)
    x = -x if (h & SIGN1) != 0 else x
    y = -y if (h & SIGN2) != 0 else y
    return x, y


@jit
def fill_normal(key1, key2, block, scale, out):
    """Normals of a stream, from that block on, times `scale`, into a float32 vector.

    key1, key2 : uint32, the keys of the stream (`stream_keys`).
    """
    whole = out.size // BLOCK
    for b in range(whole):
        fill_block(key1, key2, block + b, scale, out[b * BLOCK : (b + 1) * BLOCK])
    rest = out.size - whole * BLOCK
    if rest:
        last = np.empty(BLOCK, np.float32)
        fill_block(key1, key2, block + whole, scale, last)
        out[whole * BLOCK :] = last[:rest]


@jit
def fill_block(key1, key2, block, scale, out):
    first = np.uint32(np.uint32(block) * np.uint32(BLOCK // 2) + key1)
    for j in range(BLOCK // 2):
        at = np.uint32(first + np.uint32(j))
        r = radius(mix(at, key2)) * scale
        x, y = direction(mix(np.uint32(at + OTHER), key2))
        out[j] = r * x
        out[BLOCK // 2 + j] = r * y


@jit
def layer_keys(key1, key2, layer):
    """The keys of a stream within a stream: of layer number `layer`, of the seed's keys."""
    at = np.uint32(np.uint32(layer) * OTHER + key1)
    return mix(at, key2), mix(np.uint32(~at), key2)


def seed_keys(seed: int) -> tuple[np.uint32, np.uint32]:
    """The keys of a seed."""
    words = np.random.SeedSequence(seed).generate_state(2, np.uint32)
    return np.uint32(words[0]), np.uint32(words[1])


def normal(keys: tuple[np.uint32, np.uint32], shape: tuple[int, ...], scale: float = 1.0) -> Array:
    """N(0, scale²) of that shape in float32: the beginning of a stream."""
    out = np.empty(shape, np.float32)
    fill_normal(*keys, np.uint32(0), np.float32(scale), out.reshape(-1))
    return out
