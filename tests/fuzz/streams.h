/* Targets of the fuzzer, for harness.c: the kernels of the entropy stage. */
#include "input.h"

static outcome huffman_decode(const ck_kernels *k, input in) {
    size_t n = (size_t)take(&in) << 8 | take(&in); /* up to two blocks */
    uint8_t *stored = copy(in.data, in.n), *out = room(n), *work = room(CK_HUFFMAN_WORK);
    outcome found = {n && in.n ? k->huffman_decode(stored, in.n, out, n, work) : 0, out, n};
    return found;
}

static outcome huffman_round_trip(const ck_kernels *k, input in) {
    size_t n = in.n, blocks = (n + CK_HUFFMAN_BLOCK - 1) / CK_HUFFMAN_BLOCK;
    uint8_t *src = copy(in.data, n), *coded = room(n + blocks), *back = room(n), *work = room(CK_HUFFMAN_WORK);
    size_t step = 1 + n % 4; /* codes are made from a part of the counts of long blocks */
    size_t used = n ? k->huffman_encode(src, n, step, coded, work) : 0;
    uint8_t *exact = copy(coded, used);
    need(!n || k->huffman_decode(exact, used, back, n, work) == used, "huffman: its own blocks are refused");
    need(memcmp(src, back, n) == 0, "huffman: other bytes come back");
    return (outcome){used, coded, used};
}

static outcome huffman_lengths(const ck_kernels *k, input in) {
    unsigned a = take(&in), b = take(&in), first = a < b ? a : b, last = a < b ? b : a;
    uint8_t *stored = copy(in.data, in.n), lengths[256];
    ck_code *code = table(1, sizeof *code);
    size_t used = ck_huffman_get_lengths(stored, in.n, first, last, lengths);
    if (used) used += (size_t)ck_huffman_code(lengths, code) << 16;
    (void)k;
    return (outcome){used, room(0), 0};
}

static outcome palette_decode(const ck_kernels *k, input in) {
    size_t n = take_count(&in);
    uint8_t *stored = copy(in.data, in.n), *out = room(n);
    outcome found = {n && in.n ? k->palette_decode(stored, in.n, out, n) : 0, out, n};
    return found;
}

static outcome palette_round_trip(const ck_kernels *k, input in) {
    size_t n = in.n, used = CK_FAILED;
    uint8_t *src = copy(in.data, n), *coded = room(n), *back = room(n);
    if (n) used = k->palette_encode(src, n, coded);
    size_t n_out = used == CK_FAILED ? 0 : used;
    uint8_t *exact = copy(coded, n_out);
    need(!n_out || k->palette_decode(exact, used, back, n) == used, "palette: its own stream is refused");
    need(!n_out || memcmp(src, back, n) == 0, "palette: other bytes come back");
    return (outcome){used, coded, n_out};
}

static outcome gap_merge(const ck_kernels *k, input in) {
    uint8_t hole = take(&in);
    size_t n = take_count(&in), count = in.n / 5;
    uint8_t *gaps = take_bytes(&in, 4 * count), *values = take_bytes(&in, count), *out = room(n);
    size_t answer = n ? k->gap_merge(gaps, values, count, n, hole, out) : 0;
    return (outcome){answer, out, n};
}

static outcome gap_round_trip(const ck_kernels *k, input in) {
    uint8_t hole = take(&in);
    size_t n = in.n, count = 0;
    uint8_t *src = copy(in.data, n), *gaps = room(4 * n), *values = room(n), *back = room(n);
    if (n) count = k->gap_split(src, n, hole, n, gaps, values);
    uint8_t *exact = copy(gaps, 4 * count), *kept = copy(values, count);
    need(!n || k->gap_merge(exact, kept, count, n, hole, back) == count, "gaps: its own are refused");
    need(memcmp(src, back, n) == 0, "gaps: other bytes come back");
    if (count) {
        uint8_t *few_gaps = room(4 * (count - 1)), *few = room(count - 1);
        need(k->gap_split(src, n, hole, count - 1, few_gaps, few) == CK_FAILED, "gaps: more than there is room for");
    }
    return of_both(count, exact, 4 * count, kept, count);
}
