/* One input for the C decoders: its bytes choose lengths and widths, the rest is stored data. Every variant that runs here
 * must say the same of it and give the same bytes. Buffers are as large as they must be and no larger, so that
 * AddressSanitizer sees the first byte read or written outside. The environment's CK_TARGET names the target. */
#include "differences.h"
#include "matrix.h"
#include "streams.h"

static outcome sparse_merge(const ck_kernels *k, input in) {
    unsigned width = take_width(&in);
    size_t n = take_count(&in), n_bitmap = (n + 7) / 8;
    uint64_t hole = take(&in);
    uint8_t *bitmap = take_bytes(&in, n_bitmap), *values = copy(in.data, in.n), *out = room(n * width);
    size_t answer = n ? k->sparse_merge(bitmap, values, in.n / width, n, width, hole, out) : 0;
    return (outcome){answer, out, n * width};
}

static outcome sparse_round_trip(const ck_kernels *k, input in) {
    unsigned width = take_width(&in);
    uint64_t hole = take(&in);
    size_t n = in.n / width, count = 0;
    uint8_t *src = copy(in.data, n * width), *bitmap = room((n + 7) / 8), *values = room(n * width), *back = room(n * width);
    if (n) count = k->sparse_split(src, n, width, hole, bitmap, values);
    uint8_t *exact = copy(values, count * width);
    need(!n || k->sparse_merge(bitmap, exact, count, n, width, hole, back) == count, "sparse: its own bitmap is refused");
    need(memcmp(src, back, n * width) == 0, "sparse: other elements come back");
    return of_both(count, bitmap, (n + 7) / 8, exact, count * width);
}

static outcome merge(const ck_kernels *k, input in) {
    unsigned width = take_width(&in), r = take(&in) & 1;
    int with_base = take(&in) & 1;
    size_t n = in.n / (2 * width);
    uint8_t *planes[8], *base = NULL, *out = room(n * width), *back = room(n * width);
    for (unsigned p = 0; p < width; p++) planes[p] = take_bytes(&in, n);
    if (with_base) base = take_bytes(&in, n * width);
    if (n) k->merge((const uint8_t *const *)planes, base, n, width, r, out);
    if (n) k->split(out, base, n, width, r, back, back + n * (width - 1));
    for (unsigned p = 0; p < width; p++) need(memcmp(planes[p], back + p * n, n) == 0, "planes: other bytes come back");
    return (outcome){n, out, n * width};
}

static outcome round_floats(const ck_kernels *k, input in) {
    unsigned kind = take(&in) % CK_ROUND_KINDS, width = kind == CK_F64_F32 ? 8 : 4;
    size_t n = in.n / width;
    uint8_t *src = copy(in.data, n * width), *out = room(n * width / 2);
    if (n) k->round(src, n, kind, out);
    return (outcome){n, out, n * width / 2};
}

static outcome scan(const ck_kernels *k, input in) {
    size_t width = 1 + take(&in) % 40u, parts = 1 + take(&in) % 4u, n = in.n / (width * parts) * width;
    uint8_t *src = copy(in.data, n * parts);
    uint32_t *out = table(parts * 256, sizeof *out);
    size_t answer = n ? (size_t)k->is_constant(src, n * parts, width) : 1, n_counts = parts * 256 * sizeof(uint32_t);
    uint32_t found[4 * CK_PROFILE], *weights = table(n + 1, sizeof *weights);
    for (size_t i = 0; i <= n; i++) weights[i] = (uint32_t)(i * i);
    k->profile(src, n, parts, weights, found);
    k->histogram(src, n, parts, out);
    return of_both(answer, out, n_counts, found, parts * CK_PROFILE * sizeof *found);
}

/* What `width` says of all kernels: any other than 1, 2, 4 and 8 does nothing. */
static outcome other_widths(const ck_kernels *k, input in) {
    unsigned width = take(&in);
    uint8_t none[64] = {0}, *out = room(64);
    const uint8_t *planes[1] = {none};
    if (width == 1 || width == 2 || width == 4 || width == 8) width = 3;
    const ck_scale how = {.columns = 9, .of_rows = (int8_t *)none, .of_columns = (int8_t *)none};
    int64_t sums[9] = {0};
    k->merge(planes, NULL, 8, width, 0, out);
    k->scaled(none, 8, width, &how, 0, out);
    k->word_sums(none, NULL, 8, width, &how, sums, sums);
    k->turn(none, 8, width, 1, out);
    need(k->delta_merge(none, none, 0, none, 8, width, 0, out) == CK_FAILED, "delta_merge takes any width");
    need(k->recentred_merge(none, none, 0, none, 8, width, 7, 0, out) == CK_FAILED, "recentred_merge takes any width");
    need(k->sparse_merge(none, none, 0, 8, width, 0, out) == CK_FAILED, "sparse_merge takes any width");
    for (size_t i = 0; i < 64; i++) need(out[i] == 0xa5, "something was written for a width that is none");
    return (outcome){width, out, 64};
}

static const struct {
    const char *name;
    decoder run;
    size_t n_head; /* bytes of an input that say how to read the others */
} targets[] = {
    {"huffman_decode", huffman_decode, 2},
    {"huffman_round_trip", huffman_round_trip, 0},
    {"huffman_lengths", huffman_lengths, 2},
    {"palette_decode", palette_decode, 2},
    {"palette_round_trip", palette_round_trip, 0},
    {"gap_merge", gap_merge, 3},
    {"gap_round_trip", gap_round_trip, 1},
    {"delta_merge", delta_merge, 4},
    {"delta_round_trip", delta_round_trip, 2},
    {"recentred_merge", recentred_merge, 6},
    {"recentred_round_trip", recentred_round_trip, 4},
    {"predict", predict, 26},
    {"sparse_merge", sparse_merge, 4},
    {"sparse_round_trip", sparse_round_trip, 2},
    {"merge", merge, 3},
    {"round", round_floats, 1},
    {"scan", scan, 2},
    {"other_widths", other_widths, 1},
    {"scaled", scaled, 16},
    {"word_sums", word_sums, 11},
    {"turn", turn, 1},
};

static size_t target(void) {
    const char *name = getenv("CK_TARGET");
    for (size_t i = 0; name && i < sizeof targets / sizeof *targets; i++)
        if (strcmp(name, targets[i].name) == 0) return i;
    fprintf(stderr, "CK_TARGET must name one of the targets\n");
    exit(2);
}

static outcome outcome_of(decoder run, const ck_kernels *k, input in) {
    running = k->name;
    return run(k, in);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
size_t ck_target_head(void);
size_t ck_n_refused(void);

static size_t n_refused;

size_t ck_n_refused(void) { return n_refused; }

size_t ck_target_head(void) { return targets[target()].n_head; }

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    static decoder run = NULL;
    input in = {data, n};
    size_t last = 0;
    if (!run) run = targets[target()].run;
    while (ck_variant(last + 1)) last++;
    begin(in);
    outcome scalar = outcome_of(run, ck_variant(last), in);
    for (size_t i = 0; i < last; i++) {
        outcome other = outcome_of(run, ck_variant(i), in);
        need(scalar.answer == other.answer, "the answer");
        need(scalar.answer == CK_FAILED || memcmp(scalar.out, other.out, scalar.n_out) == 0, "the output");
    }
    n_refused += scalar.answer == CK_FAILED;
    release();
    return 0;
}
