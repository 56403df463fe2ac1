/* The contract of every kernel.
 *
 * All variants return identical bytes. Kernels are total: they allocate nothing, do no I/O, keep no state and cannot
 * fail except where a return value says so. Any address may be unaligned. No output may overlap an input or another
 * output. `width` is the bytes of one element: 1, 2, 4 or 8; any other width does nothing. Elements are little-endian.
 *
 *   rotl(x, r)   x rotated left by r bits within its width; r is 0 or 1. With r = 1 the sign of a float becomes its
 *                lowest bit, and the exponent of float32 and bfloat16 is its highest byte, whole.
 *   order(x)     for floats x ^ (x >= 2^(W-1) ? 2^(W-1) - 1 : 0): bits as two's complement integers in the order of
 *                the floats, its own inverse; for integers x itself.
 */
#ifndef CK_KERNELS_H
#define CK_KERNELS_H

#include "ck_common.h"

#define CK_FAILED SIZE_MAX
#define CK_BITS_SLACK 16u   /* spare bytes `delta_split` needs after the worst case of `bits` */

#define CK_EXPONENT_BITS 11u /* of the widest exponent, which is that of binary64 */
#define CK_ORIGIN_ROWS ((1u << CK_EXPONENT_BITS) + 64u)
#define CK_ORIGIN_MOST (1u << 19) /* elements of a sample */

#define CK_HUFFMAN_BLOCK 32768u
#define CK_HUFFMAN_WORK (2u * (CK_HUFFMAN_BLOCK + 64u))

#define CK_PALETTE_SYMBOLS 15u

enum ck_huffman_block { CK_HUFFMAN_RAW = 0, CK_HUFFMAN_CONSTANT = 1, CK_HUFFMAN_CODED = 2 };
/* What `profile` says of a stretch: the sum of its weights, how many bytes occur, the most frequent one (the lowest of
 * equals), its count, and the count of byte 0. */
enum ck_profile { CK_WEIGHT = 0, CK_DISTINCT = 1, CK_MODE = 2, CK_MODE_COUNT = 3, CK_ZEROS = 4, CK_PROFILE = 5 };
enum ck_round { CK_F32_BF16 = 0, CK_F32_F16 = 1, CK_F64_F32 = 2, CK_ROUND_KINDS = 3 };
enum ck_dtype { CK_F32 = 0, CK_BF16 = 1, CK_F16 = 2, CK_DTYPES = 3 };
enum ck_predictor { CK_LINEAR = 1, CK_ADAM = 2, CK_SECOND = 3 };

/* Of the differences whose bit length and exponent have one sum; and the bases that have it as their exponent. */
typedef struct ck_tally {
    uint32_t symbols[8]; /* differences by 2 * lead + sign */
    uint64_t sums;       /* of their low bits, and 2^32 times that of their exponents */
    uint32_t bases;
} ck_tally;

#define CK_BASES_MOST 4
#define CK_COEFFICIENTS_MOST 5

typedef struct ck_prediction {
    unsigned kind;      /* ck_predictor */
    unsigned n_bases;   /* linear: 1 to 4; adam: 3 or 4; second: 3 */
    int masked;         /* adam with 4 bases, and second */
    unsigned out_dtype; /* ck_dtype, of the result */
    unsigned dtypes[CK_BASES_MOST];
    const uint8_t *bases[CK_BASES_MOST];
    float coefficients[CK_COEFFICIENTS_MOST];
} ck_prediction;

/* A matrix and what is known of the words in it. word(x) = x without its top bit, as an integer: of a float near the
 * logarithm of its size, in steps of 2^-mantissa of a power of two. */
typedef struct ck_scale {
    uint32_t slope;  /* in parts of 2^16 */
    uint32_t origin;
    unsigned shift;  /* below 32 */
    size_t columns;  /* of the matrix, 1 or more */
    size_t start;    /* column of the first element, below columns */
    const int8_t *of_rows, *of_columns; /* of each row that the elements touch, and of each column */
} ck_scale;

typedef struct ck_kernels {
    const char *name;

    /* planes[p*n + i] = byte p (0 = lowest) of rotl(src[i] ^ base[i], r); the highest one to top[i]. base may be NULL:
     * zeros. */
    void (*split)(const uint8_t *src, const uint8_t *base, size_t n, unsigned width, unsigned r, uint8_t *planes,
                  uint8_t *top);
    /* The inverse of split; byte p of all elements is at planes[p]. */
    void (*merge)(const uint8_t *const *planes, const uint8_t *base, size_t n, unsigned width, unsigned r, uint8_t *dst);

    /* d = order(src[i]) - order(base[i]) mod 2^W; s = d's top bit; g = s ? ~d : d. With E = 6, 3, 2, 1 for W = 8, 16,
     * 32, 64: k = max(0, bit length of g - 1 - E); symbols[i] = 2 * ((k << E) + (g >> k)) + s; the low k bits of g go to
     * the bit stream, lowest bit first, zero bits up to the last whole byte. bits: (n*(W-2-E) + 7)/8 + CK_BITS_SLACK
     * bytes. Returns the bytes of the bit stream. */
    size_t (*delta_split)(const uint8_t *src, const uint8_t *base, size_t n, unsigned width, int is_float,
                          uint8_t *symbols, uint8_t *bits);
    /* The inverse of delta_split. Returns n_bits, or CK_FAILED, with dst undefined, if the symbols do not need exactly
     * n_bits bytes of bits or the spare bits of the last are not zero. Reads nothing outside its inputs whatever they
     * hold. */
    size_t (*delta_merge)(const uint8_t *symbols, const uint8_t *bits, size_t n_bits, const uint8_t *base, size_t n,
                          unsigned width, int is_float, uint8_t *dst);

    /* As delta_split for floats of 2, 4 or 8 bytes, with classes that follow the size of a difference instead of its
     * count of units in the last place. e = the exponent field of base[i], the bits from `mantissa` to W-2, 1 to
     * CK_EXPONENT_BITS of them; b = bit length of g; c = b + e - origin, no less than 0 and no more than 31.
     *   0 < c < 31: k = max(0, b - 3), lead = (g >> k) & 3      c = 0:  k = max(0, origin - e), W-1 at most, lead = 0
     *                                                           c = 31: k = W-1, lead = 0
     * symbols[i] = 2 * (4 * c + lead) + s; the low k bits of g go to the bit stream. bits: (n*(W-1) + 7)/8 +
     * CK_BITS_SLACK bytes. Another width gives CK_FAILED. */
    size_t (*recentred_split)(const uint8_t *src, const uint8_t *base, size_t n, unsigned width, unsigned mantissa,
                              int origin, uint8_t *symbols, uint8_t *bits);
    /* The inverse: b = c + origin - e, and g = (4 | lead) << k | the low bits if b >= 3, else lead, where 0 < c < 31;
     * else g is the low bits, whatever `lead` is. Returns as delta_merge; CK_FAILED too if such a b is not in 0 .. W-1. */
    size_t (*recentred_merge)(const uint8_t *symbols, const uint8_t *bits, size_t n_bits, const uint8_t *base, size_t n,
                              unsigned width, unsigned mantissa, int origin, uint8_t *dst);
    /* The origin of least cost, the smallest if there are several, and its *cost in 1/256 bits. Tried are all between the
     * least b + e, less 1, and the largest. Cost is the order-0 entropy of the symbols, + 0.72 bits for each distinct one but the first (Miller and Madow's correction), + the low bits.
     * x_log_x[x] = 256 * x * log2(x) for x = 0 .. n; n is 1 to CK_ORIGIN_MOST; work: CK_ORIGIN_ROWS. */
    int (*recentred_origin)(const uint8_t *src, const uint8_t *base, size_t n, unsigned width, unsigned mantissa,
                            const uint32_t *x_log_x, ck_tally *work, uint64_t *cost);

    /* dst[i] = a prediction from element i of each base, in binary32: bases are widened, which is exact; each operation is
     * rounded to nearest even by itself, whatever the calling thread's rounding and flush-to-zero settings are; the
     * result is rounded once more, to nearest even, to out_dtype, and any NaN is the positive quiet one with no payload.
     * c = coefficients; a denormal one counts as zero, since the caller's mode may have made it zero on the way here:
     *   linear  c0*b0, then for i = 1 .. n_bases-1 in turn: + ci*bi
     *   adam    bases w, m, v and maybe m'; c = decay, step, step', root, eps.
     *           q = step*m, with m': + step'*m'; decay*w + q / (sqrt(v)/root + eps)
     *   second  bases v, m, m'; c = beta, gain, inner. g = (m - m')/inner + m'; beta*v + gain*(g*g)
     * masked: where m and m', widened, have the same bits, it is w, or v for `second`. A NaN is widened by its bits, the
     * payload at the top. Another kind, dtype or n_bases does nothing. */
    void (*predict)(const ck_prediction *how, size_t n, uint8_t *dst);

    /* Of element i in row r and column c of the matrix:
     * dst[i] = ((slope * word(src[i]) >> 16) + origin + ((of_rows[r] + of_columns[c]) << shift)) << turned, modulo 2^W.
     * src may be NULL: zeros. turned is 0 or 1. Widths: 2 and 4. */
    void (*scaled)(const uint8_t *src, size_t n, unsigned width, const ck_scale *how, unsigned turned, uint8_t *dst);
    /* Adds word(src[i]) - (slope * word(base[i]) >> 16) to the sums of its row and of its column, for slopes of 2^16 or
     * less. base may be NULL: zeros. Of how only slope, columns and start count. Widths: 2 and 4. */
    void (*word_sums)(const uint8_t *src, const uint8_t *base, size_t n, unsigned width, const ck_scale *how,
                      int64_t *rows, int64_t *columns);
    /* dst[i] = rotl(src[i], r), where r is 1 or W-1. Widths: 2 and 4. */
    void (*turn)(const uint8_t *src, size_t n, unsigned width, unsigned r, uint8_t *dst);

    /* Bit i (lowest first) of bitmap = src[i] != hole; values = those elements in order. hole is compared in W bits.
     * bitmap: (n+7)/8 bytes; values: n elements, of which those after the count are undefined. Returns the count. */
    size_t (*sparse_split)(const uint8_t *src, size_t n, unsigned width, uint64_t hole, uint8_t *bitmap,
                           uint8_t *values);
    /* The inverse of sparse_split. Returns count, or CK_FAILED, with dst undefined, if the bitmap does not have exactly
     * `count` bits set in its first n bits and none after. */
    size_t (*sparse_merge)(const uint8_t *bitmap, const uint8_t *values, size_t count, size_t n, unsigned width,
                           uint64_t hole, uint8_t *dst);

    /* dst[i] = src[i] rounded to nearest, ties to even, in integer arithmetic: no rounding mode or flush-to-zero of the
     * calling thread matters. NaN: all ones as bfloat16, otherwise quiet with sign and top payload bits kept. Another
     * kind does nothing. */
    void (*round)(const uint8_t *src, size_t n, unsigned kind, uint8_t *dst);

    /* 1 if every item of `width` bytes (any width >= 1) equals the first; n_bytes is a multiple of width. */
    int (*is_constant)(const uint8_t *src, size_t n_bytes, size_t width);

    /* counts[256*p + b] = how often byte b occurs in the p-th of `parts` stretches of n bytes each. n < 2^32. */
    void (*histogram)(const uint8_t *src, size_t n, size_t parts, uint32_t *counts);

    /* out[CK_PROFILE*p + ...]: what the p-th of `parts` stretches of n bytes holds; each byte that occurs c times weighs
     * weights[c], c up to n, and all together less than 2^32. */
    void (*profile)(const uint8_t *src, size_t n, size_t parts, const uint32_t *weights, uint32_t *out);

    /* Blocks of CK_HUFFMAN_BLOCK bytes, the last one shorter, each one of
     *   raw       0, the bytes
     *   constant  1, the one byte
     *   coded     2, first symbol, last symbol, code lengths of first .. last (ck_huffman.h; 0 = does not occur, 12 at
     *             most; the first and the last occur), the tree.
     * The code is complete and canonical: ascending by (length, symbol). The tree in preorder: at each inner node, for
     * each symbol that comes through, in order, a bit (lowest first) that says whether it goes right (a one in its code),
     * zero bits up to a whole byte; then the left child, then the right one. Leaves are not written.
     * step: a code is made from the counts of one in `step` stretches of 64 bytes, of which half may be of the block
     * before (template/counting.h); 1 counts all.
     * out: n + one byte a block; work: CK_HUFFMAN_WORK bytes. Returns the bytes of out that are used. */
    size_t (*huffman_encode)(const uint8_t *src, size_t n, size_t step, uint8_t *out, uint8_t *work);
    /* The inverse. Returns n_in, or CK_FAILED, with dst undefined, unless `in` holds just the blocks for n bytes. (They do
     * not say n: a stream whose bitmaps have spare bits may also be read as one of a few bytes more.) */
    size_t (*huffman_decode)(const uint8_t *in, size_t n_in, uint8_t *dst, size_t n, uint8_t *work);

    /* A palette of CK_PALETTE_SYMBOLS bytes; half a byte for each byte of src, the first one in the lower half: its place in
     * the palette, or CK_PALETTE_SYMBOLS if it has none (a spare half is 0); then those that have none, in order. The
     * palette holds the most frequent bytes of a sample. out: n bytes. Returns the bytes used, or CK_FAILED, with out
     * undefined, if they would be more than n. */
    size_t (*palette_encode)(const uint8_t *src, size_t n, uint8_t *out);
    /* The inverse, of any palette. Returns n_in, or CK_FAILED, with dst undefined, unless `in` holds just n bytes. */
    size_t (*palette_decode)(const uint8_t *in, size_t n_in, uint8_t *dst, size_t n);

    /* Of each byte that is not `hole`: how many holes lie between it and the one before, or the start (u32), and the byte.
     * n < 2^32. gaps: 4 * most bytes; values: most. Returns their count, or CK_FAILED, with both undefined, if it is above
     * `most`. */
    size_t (*gap_split)(const uint8_t *src, size_t n, uint8_t hole, size_t most, uint8_t *gaps, uint8_t *values);
    /* The inverse. Returns count, or CK_FAILED, with dst undefined, if that needs more than n bytes. */
    size_t (*gap_merge)(const uint8_t *gaps, const uint8_t *values, size_t count, size_t n, uint8_t hole, uint8_t *dst);
} ck_kernels;

extern const ck_kernels ck_kernels_scalar;
extern const ck_kernels ck_kernels_avx2;
extern const ck_kernels ck_kernels_avx512;

#endif
