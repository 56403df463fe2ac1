/* Stored data as the encoders write it, for the targets that decode, and bases of predictions: a part of cases.c. */
#include "ck_cpu.h"
#include "generate.h"

static uint8_t one[MOST_BYTES], other[MOST_BYTES], coded[MOST_BYTES], more[MOST_BYTES];

/* So many bytes of the input, after those that are there. */
static void add(const void *p, size_t n) {
    if (n > MOST_BYTES - n_now) abort();
    memcpy(now + n_now, p, n);
    n_now += n;
}

static void add_byte(size_t x) { now[n_now++] = (uint8_t)x; }

static void add_count(size_t n) {
    add_byte(n);
    add_byte(n >> 8);
}

static void honest_huffman(const ck_kernels *k) {
    static uint8_t work[CK_HUFFMAN_WORK];
    size_t n = 1 + some(max_len - 4);
    fill(one, n, 2);
    add_byte(n >> 8);
    add_byte(n);
    add(coded, k->huffman_encode(one, n, 1 + chance(4), coded, work));
}

static void honest_palette(const ck_kernels *k) {
    size_t n = 1 + some(1022);
    fill(one, n, 2);
    size_t used = k->palette_encode(one, n, coded);
    add_count(n);
    add(coded, used == CK_FAILED ? 0 : used);
}

static void honest_gaps(const ck_kernels *k) {
    size_t n = 1 + some(1022), most = (max_len - 3) / 5;
    uint8_t hole = (uint8_t)chance(256);
    bytes(one, n, chance(2) ? HOLES : FEW);
    if (chance(8)) hole = one[chance(n)];
    size_t count = k->gap_split(one, n, hole, most, coded, more);
    if (count == CK_FAILED) count = 0;
    add_byte(hole);
    add_count(n);
    add(coded, 4 * count);
    add(more, count);
}

static void honest_delta(const ck_kernels *k, int recentred) {
    unsigned width = recentred ? 2u << chance(3) : 1u << chance(4), is_float = (unsigned)chance(2);
    unsigned mantissa = recentred ? 8 * width - 2 - (unsigned)chance(CK_EXPONENT_BITS) : 0;
    size_t room = (max_len - 6 - CK_BITS_SLACK) / (2 * width + 1), n = 1 + some((room < 1023 ? room : 1023) - 1);
    fill(other, n * width, width);
    fill_near(one, other, n * width, width);
    int origin = (int)(got(other, width) >> mantissa & 0x7ff) - 20 + (int)chance(60);
    add_byte(recentred ? width / 4 : width == 8 ? 3 : width / 2);
    if (recentred) {
        add_byte(8 * width - 2 - mantissa);
        add_count((size_t)(unsigned)origin);
    } else add_byte(is_float);
    add_count(n);
    size_t used = recentred ? k->recentred_split(one, other, n, width, mantissa, origin, coded, more)
                            : k->delta_split(one, other, n, width, (int)is_float, coded, more);
    add(coded, n);
    add(other, n * width);
    add(more, used);
}

static void honest_sparse(const ck_kernels *k) {
    unsigned power = (unsigned)chance(4), width = 1u << power;
    size_t room = (max_len - 4) / (width + 1), n = 1 + some((room < 1023 ? room : 1023) - 1);
    uint8_t hole = (uint8_t)chance(3);
    memset(one, 0, n * width);
    for (size_t i = 0; i < n; i++) one[i * width] = (uint8_t)(chance(3) ? hole : any());
    size_t count = k->sparse_split(one, n, width, hole, coded, more);
    add_byte(power);
    add_count(n);
    add_byte(hole);
    add(coded, (n + 7) / 8);
    add(more, count * width);
}

/* Of bases of about one size; any bytes say nothing, since few of them are a predictor. */
static void honest_prediction(void) {
    static const uint8_t kinds[][2] = {{1, 1}, {1, 2}, {1, 4}, {2, 3}, {2, 4}, {2, 4}, {3, 3}, {3, 3}};
    static const float usual[] = {1.0f, 0.999f, -1e-3f, 0.1f, 1e-8f, 1e-40f, 0.0f, -0.0f, 3e38f};
    const uint8_t *kind = kinds[chance(8)];
    size_t room = (max_len - 26) / 18, n = some(chance(8) ? room : 1);
    add(kind, 2);
    add_byte(kind[0] == 3 || kind[1] == 4 ? chance(2) : 0);
    add_byte(chance(3));
    add_count(n);
    for (int i = 0; i < CK_COEFFICIENTS_MOST; i++) {
        if (chance(4)) add(&usual[chance(sizeof usual / sizeof *usual)], sizeof *usual);
        else add_count(chance(65536)), add_count(chance(65536));
    }
    for (unsigned b = 0, dtype = (unsigned)chance(3); b < CK_BASES_MOST; b++) {
        unsigned width = dtype ? 2 : 4;
        if (b && chance(2)) fill_near(one, other, n * width, width);
        else fill(one, n * width, width);
        memcpy(other, one, n * width);
        add_byte(dtype);
        add(one, n * width);
        if (!chance(3)) dtype = (unsigned)chance(3);
    }
}

/* An input of the target that it makes something of; 0 for a target that takes anything. */
static int honest(const char *target, const ck_kernels *k) {
    n_now = 0;
    if (!strcmp(target, "huffman_decode")) honest_huffman(k);
    else if (!strcmp(target, "palette_decode")) honest_palette(k);
    else if (!strcmp(target, "gap_merge")) honest_gaps(k);
    else if (!strcmp(target, "delta_merge")) honest_delta(k, 0);
    else if (!strcmp(target, "recentred_merge")) honest_delta(k, 1);
    else if (!strcmp(target, "sparse_merge")) honest_sparse(k);
    else if (!strcmp(target, "predict")) honest_prediction();
    return n_now > 0;
}
