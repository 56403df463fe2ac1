/* Data as kernels see it, and as they never should: a part of cases.c. */
#include "mutate.h"

static void put(uint8_t *p, uint64_t x, unsigned width) {
    for (unsigned i = 0; i < width; i++) p[i] = (uint8_t)(x >> 8 * i);
}

static uint64_t got(const uint8_t *p, unsigned width) {
    uint64_t x = 0;
    for (unsigned i = 0; i < width; i++) x |= (uint64_t)p[i] << 8 * i;
    return x;
}

static uint64_t any(void) { return chance(1u << 22) << 42 ^ chance(1u << 22) << 21 ^ chance(1u << 22); }

/* Zero, or twice as rare with each bit. */
static unsigned small(void) {
    unsigned x = 0;
    while (x < 40 && chance(2)) x++;
    return x;
}

/* Floats about one size, as training has them: signs and mantissas are anything. */
static void numbers(uint8_t *p, size_t n, unsigned width) {
    unsigned mantissa = width == 2 ? chance(2) ? 7 : 10 : width == 4 ? 23 : width == 8 ? 52 : 3;
    uint64_t exponent = any();
    for (size_t i = 0; i + width <= n; i += width) {
        uint64_t size = (exponent - small()) << mantissa & (((uint64_t)1 << (8 * width - 1)) - 1);
        put(p + i, size | (any() & (((uint64_t)1 << mantissa) - 1)) | chance(2) << (8 * width - 1), width);
    }
}

/* One of so many kinds; what a kind says of the next byte. */
enum { ANYTHING, FEW, SKEWED, HOLES, RUNS, RAMP, NUMBERS, KINDS };

static void bytes(uint8_t *p, size_t n, uint64_t kind) {
    uint8_t base = (uint8_t)chance(256);
    uint64_t symbols = 1 + chance(1u << chance(9)), rare = 1u << chance(12);
    for (size_t i = 0; i < n; i++) switch (kind) {
        case ANYTHING: p[i] = (uint8_t)chance(256); break;
        case FEW: p[i] = (uint8_t)(base + chance(symbols)); break;
        case SKEWED: p[i] = (uint8_t)(base + (chance(2) ? small() : 0u - small())); break;
        case HOLES: p[i] = chance(rare) ? base : (uint8_t)chance(256); break;
        case RUNS: p[i] = i && chance(rare) ? p[i - 1] : (uint8_t)chance(256); break;
        default: p[i] = (uint8_t)(base + i * symbols); break;
    }
}

static void fill(uint8_t *p, size_t n, unsigned width) {
    uint64_t kind = chance(KINDS);
    bytes(p, n, kind == NUMBERS ? ANYTHING : kind);
    if (kind == NUMBERS) numbers(p, n, width);
}

/* Elements with differences of every size to those of `base`, many of them none. */
static void fill_near(uint8_t *p, const uint8_t *base, size_t n, unsigned width) {
    uint64_t rest = chance(5), small_ones = chance(2) ? chance(64) : 0;
    memcpy(p, base, n);
    for (size_t i = 0; i + width <= n; i += width) {
        uint64_t step = any() >> (small_ones + chance(64 - small_ones));
        if (chance(4) >= rest) put(p + i, got(p + i, width) + (chance(2) ? step : 0 - step), width);
    }
}

/* None, few, about a block of 256 elements, and anything up to `most`, small numbers as often as great ones. */
static size_t some(size_t most) {
    static const size_t odd[] = {0, 1, 7, 8, 9, 63, 64, 65, 255, 256, 257, 511, 512, 513, 1023};
    size_t n = odd[chance(sizeof odd / sizeof *odd)] << chance(2);
    if (chance(3)) n = chance((most >> chance(8)) + 1);
    return n < most ? n : most;
}
