/* The targets of differences, plain and recentred, and of predictions: a part of harness.c. */
#include "input.h"

static outcome delta_merge(const ck_kernels *k, input in) {
    unsigned width = take_width(&in);
    int is_float = take(&in) & 1;
    size_t n = take_count(&in);
    uint8_t *symbols = take_bytes(&in, n), *base = take_bytes(&in, n * width), *bits = copy(in.data, in.n);
    uint8_t *out = room(n * width);
    size_t answer = n ? k->delta_merge(symbols, bits, in.n, base, n, width, is_float, out) : 0;
    return (outcome){answer, out, n * width};
}

static outcome delta_round_trip(const ck_kernels *k, input in) {
    unsigned width = take_width(&in);
    int is_float = take(&in) & 1;
    size_t n = in.n / (2 * width), used = 0;
    uint8_t *src = take_bytes(&in, n * width), *base = take_bytes(&in, n * width), *symbols = room(n);
    uint8_t *bits = room(n * width + CK_BITS_SLACK), *back = room(n * width);
    if (n) used = k->delta_split(src, base, n, width, is_float, symbols, bits);
    uint8_t *exact = copy(bits, used);
    need(!n || k->delta_merge(symbols, exact, used, base, n, width, is_float, back) == used, "delta: its own bits are refused");
    need(memcmp(src, back, n * width) == 0, "delta: other elements come back");
    return of_both(used, symbols, n, exact, used);
}

/* Bits of mantissa that leave an exponent of 1 to 11 bits. */
static unsigned take_mantissa(input *in, unsigned width) { return 8 * width - 2 - take(in) % CK_EXPONENT_BITS; }

static int take_origin(input *in) {
    int low = take(in);
    return (int16_t)(low | take(in) << 8);
}

static outcome recentred_merge(const ck_kernels *k, input in) {
    unsigned width = 2u << take(&in) % 3, mantissa = take_mantissa(&in, width);
    int origin = take_origin(&in);
    size_t n = take_count(&in);
    uint8_t *symbols = take_bytes(&in, n), *base = take_bytes(&in, n * width), *bits = copy(in.data, in.n);
    uint8_t *out = room(n * width);
    size_t answer = n ? k->recentred_merge(symbols, bits, in.n, base, n, width, mantissa, origin, out) : 0;
    return (outcome){answer, out, n * width};
}

/* And the origin that suits them, with a table that makes it any. */
static outcome recentred_round_trip(const ck_kernels *k, input in) {
    unsigned width = 2u << take(&in) % 3, mantissa = take_mantissa(&in, width);
    int origin = take_origin(&in);
    size_t n = in.n / (2 * width), used = 0;
    uint64_t cost = 0;
    uint8_t *src = take_bytes(&in, n * width), *base = take_bytes(&in, n * width), *symbols = room(n);
    uint8_t *bits = room(n * width + CK_BITS_SLACK), *back = room(n * width);
    ck_tally *work = table(CK_ORIGIN_ROWS, sizeof *work);
    uint32_t *x_log_x = table(n + 1, sizeof *x_log_x);
    for (size_t x = 0; x <= n; x++) x_log_x[x] = (uint32_t)(x * x);
    if (n) used = k->recentred_split(src, base, n, width, mantissa, origin, symbols, bits);
    uint8_t *exact = copy(bits, used);
    need(!n || k->recentred_merge(symbols, exact, used, base, n, width, mantissa, origin, back) == used, "recentred: refused");
    need(memcmp(src, back, n * width) == 0, "recentred: other elements come back");
    int best = n ? k->recentred_origin(src, base, n, width, mantissa, x_log_x, work, &cost) : 0;
    return of_both(used + cost + ((uint64_t)(unsigned)best << 32), symbols, n, exact, used);
}

static outcome predict(const ck_kernels *k, input in) {
    ck_prediction how;
    how.kind = take(&in);
    how.n_bases = take(&in) % 6u;
    how.masked = take(&in) & 1;
    how.out_dtype = take(&in) & 3;
    size_t size = how.out_dtype == CK_F32 ? 4 : 2, n = take_count(&in);
    uint8_t *bases[CK_BASES_MOST], *coefficients = take_bytes(&in, sizeof how.coefficients), *out = room(n * size);
    memcpy(how.coefficients, coefficients, sizeof how.coefficients);
    for (unsigned b = 0; b < CK_BASES_MOST; b++) {
        how.dtypes[b] = take(&in) & 3;
        how.bases[b] = bases[b] = take_bytes(&in, n * (how.dtypes[b] == CK_F32 ? 4 : 2));
    }
    k->predict(&how, n, out);
    return (outcome){n, out, n * size};
}
