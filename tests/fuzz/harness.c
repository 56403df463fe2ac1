/* One input for the C decoders: its bytes choose lengths and widths, the rest is stored data. Every variant that runs here
 * must say the same of it and give the same bytes. Buffers are as large as they must be and no larger, so that
 * AddressSanitizer sees the first byte read or written outside. The environment's CK_TARGET names the target. */
#include "input.h"
#include "streams.h"

#include "differences.h"

static outcome sparse_merge(const ck_kernels *k, input in) {
    unsigned width = take_width(&in);
    size_t n = take_count(&in), n_bitmap = (n + 7) / 8;
    uint64_t hole = take(&in);
    uint8_t *bitmap = take_bytes(&in, n_bitmap), *values = copy(in.data, in.n), *out = room(n * width);
    size_t answer = n ? k->sparse_merge(bitmap, values, in.n / width, n, width, hole, out) : 0;
    free(bitmap);
    free(values);
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
    free(src);
    free(values);
    free(exact);
    free(back);
    return (outcome){count, bitmap, (n + 7) / 8};
}

static outcome merge(const ck_kernels *k, input in) {
    unsigned width = take_width(&in), r = take(&in) & 1;
    int with_base = take(&in) & 1;
    size_t n = in.n / (2 * width);
    uint8_t *planes[8], *base = NULL, *out = room(n * width), *back = room(n * width);
    for (unsigned p = 0; p < width; p++) planes[p] = take_bytes(&in, n);
    if (with_base) base = take_bytes(&in, n * width);
    if (n) k->merge((const uint8_t *const *)planes, base, n, width, r, out);
    if (n) k->split(out, base, n, width, r, back);
    for (unsigned p = 0; p < width; p++) {
        need(memcmp(planes[p], back + p * n, n) == 0, "planes: other bytes come back");
        free(planes[p]);
    }
    free(base);
    free(back);
    return (outcome){n, out, n * width};
}

static outcome round_floats(const ck_kernels *k, input in) {
    unsigned kind = take(&in) % CK_ROUND_KINDS, width = kind == CK_F64_F32 ? 8 : 4;
    size_t n = in.n / width;
    uint8_t *src = copy(in.data, n * width), *out = room(n * width / 2);
    if (n) k->round(src, n, kind, out);
    free(src);
    return (outcome){n, out, n * width / 2};
}

static outcome scan(const ck_kernels *k, input in) {
    size_t width = 1 + take(&in) % 40u, parts = 1 + take(&in) % 4u, n = in.n / (width * parts) * width;
    uint8_t *src = copy(in.data, n * parts), *out = room(parts * 256 * sizeof(uint32_t));
    size_t answer = n ? (size_t)k->is_constant(src, n * parts, width) : 1;
    uint32_t found[4 * CK_PROFILE], *weights = (uint32_t *)(void *)room((n + 1) * sizeof(uint32_t));
    for (size_t i = 0; i <= n; i++) weights[i] = (uint32_t)(i * i);
    k->profile(src, n, parts, weights, found);
    for (size_t p = 0; p < parts; p++) answer = answer * 31 + found[CK_PROFILE * p] + found[CK_PROFILE * p + CK_MODE];
    k->histogram(src, n, parts, (uint32_t *)(void *)out);
    free(weights);
    free(src);
    return (outcome){answer, out, parts * 256 * sizeof(uint32_t)};
}

/* What `width` says of all kernels: any other than 1, 2, 4 and 8 does nothing. */
static outcome other_widths(const ck_kernels *k, input in) {
    unsigned width = take(&in);
    uint8_t none[64] = {0}, *out = room(64);
    const uint8_t *planes[1] = {none};
    if (width == 1 || width == 2 || width == 4 || width == 8) width = 3;
    k->merge(planes, NULL, 8, width, 0, out);
    need(k->delta_merge(none, none, 0, none, 8, width, 0, out) == CK_FAILED, "delta_merge takes any width");
    need(k->recentred_merge(none, none, 0, none, 8, width, 7, 0, out) == CK_FAILED, "recentred_merge takes any width");
    need(k->sparse_merge(none, none, 0, 8, width, 0, out) == CK_FAILED, "sparse_merge takes any width");
    for (size_t i = 0; i < 64; i++) need(out[i] == 0xa5, "something was written for a width that is none");
    return (outcome){width, out, 64};
}

static const struct {
    const char *name;
    decoder run;
} targets[] = {
    {"huffman_decode", huffman_decode},
    {"huffman_round_trip", huffman_round_trip},
    {"huffman_lengths", huffman_lengths},
    {"palette_decode", palette_decode},
    {"palette_round_trip", palette_round_trip},
    {"gap_merge", gap_merge},
    {"gap_round_trip", gap_round_trip},
    {"delta_merge", delta_merge},
    {"delta_round_trip", delta_round_trip},
    {"recentred_merge", recentred_merge},
    {"recentred_round_trip", recentred_round_trip},
    {"predict", predict},
    {"sparse_merge", sparse_merge},
    {"sparse_round_trip", sparse_round_trip},
    {"merge", merge},
    {"round", round_floats},
    {"scan", scan},
    {"other_widths", other_widths},
};

static decoder target(void) {
    const char *name = getenv("CK_TARGET");
    for (size_t i = 0; name && i < sizeof targets / sizeof *targets; i++)
        if (strcmp(name, targets[i].name) == 0) return targets[i].run;
    fprintf(stderr, "CK_TARGET must name one of the targets\n");
    exit(2);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    static decoder run = NULL;
    const ck_kernels *k;
    if (!run) run = target();
    outcome first = run(ck_variant(0), (input){data, n});
    for (size_t i = 1; (k = ck_variant(i)) != NULL; i++) {
        outcome other = run(k, (input){data, n});
        need(first.answer == other.answer, "the answer");
        need(first.answer == CK_FAILED || memcmp(first.out, other.out, first.n_out) == 0, "the output");
        free(other.out);
    }
    free(first.out);
    return 0;
}
