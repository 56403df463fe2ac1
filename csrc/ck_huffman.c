#include "ck_huffman.h"

/* Symbols that occur, by ascending count: two passes of a radix sort, since a block is coded in a few microseconds. */
static unsigned sorted_symbols(const uint32_t *counts, uint8_t *order) {
    uint8_t found[256];
    unsigned n = 0;
    for (unsigned s = 0; s < 256; s++)
        if (counts[s]) found[n++] = (uint8_t)s;
    uint8_t *from = found, *to = order;
    for (unsigned shift = 0; shift < 16; shift += 8) {
        unsigned starts[257] = {0};
        for (unsigned i = 0; i < n; i++) starts[(counts[from[i]] >> shift & 255) + 1]++;
        for (unsigned b = 0; b < 256; b++) starts[b + 1] += starts[b];
        for (unsigned i = 0; i < n; i++) to[starts[counts[from[i]] >> shift & 255]++] = from[i];
        uint8_t *other = from;
        from = to;
        to = other;
    }
    memcpy(order, from, n);
    return n;
}

/* How many codes of each length Huffman's algorithm makes. weights: ascending, n >= 2 of them; they are used up.
 * Two queues: leaves not yet taken, and the inner nodes in the order they were made. */
static void count_lengths(uint32_t *weights, unsigned n, unsigned *of_length) {
    uint16_t parent[511] = {0}, depth[511];
    uint32_t inner[256];
    unsigned leaf = 0, head = 0, made = 0;
    while (made < n - 1) {
        uint32_t sum = 0;
        for (unsigned child = 0; child < 2; child++) {
            int take_leaf = leaf < n && (head == made || weights[leaf] <= inner[head]);
            sum += take_leaf ? weights[leaf] : inner[head];
            parent[take_leaf ? leaf++ : 256 + head++] = (uint16_t)(256 + made);
        }
        inner[made++] = sum;
    }
    depth[256 + n - 2] = 0;
    for (unsigned i = n - 2; i-- > 0;) depth[256 + i] = (uint16_t)(depth[parent[256 + i]] + 1);
    for (unsigned i = 0; i < n; i++) {
        unsigned length = depth[parent[i]] + 1u;
        of_length[length < CK_HUFFMAN_BITS ? length : CK_HUFFMAN_BITS]++;
    }
}

/* Cut codes at the limit make the code overfull: each step lengthens one shorter code to make room for one cut code. */
static void repair_lengths(unsigned *of_length) {
    unsigned used = 0;
    for (unsigned l = 1; l <= CK_HUFFMAN_BITS; l++) used += of_length[l] << (CK_HUFFMAN_BITS - l);
    for (; used > 1u << CK_HUFFMAN_BITS; used--) {
        unsigned l = CK_HUFFMAN_BITS - 1;
        while (!of_length[l]) l--;
        of_length[CK_HUFFMAN_BITS]--;
        of_length[l]--;
        of_length[l + 1] += 2;
    }
}

unsigned ck_huffman_lengths(const uint32_t *counts, uint8_t *lengths) {
    uint8_t order[256];
    uint32_t weights[256];
    unsigned of_length[CK_HUFFMAN_BITS + 1] = {0}, n = sorted_symbols(counts, order), at = 0;
    memset(lengths, 0, 256);
    if (n < 2) return n;
    for (unsigned i = 0; i < n; i++) weights[i] = counts[order[i]];
    count_lengths(weights, n, of_length);
    repair_lengths(of_length);
    for (unsigned l = CK_HUFFMAN_BITS; l > 0; l--)
        for (unsigned i = 0; i < of_length[l]; i++) lengths[order[at++]] = (uint8_t)l;
    return n;
}

enum { SAME = 0, MORE = 1, LESS = 2, ANY = 3 };

size_t ck_huffman_put_lengths(const uint8_t *lengths, unsigned first, unsigned last, uint8_t *out) {
    uint32_t bits = 0;
    unsigned held = 0, before = CK_HUFFMAN_BITS;
    size_t used = 0;
    for (unsigned s = first; s <= last; s++) {
        unsigned now = lengths[s];
        unsigned how = now == before ? SAME : now == before + 1 ? MORE : now + 1 == before ? LESS : ANY;
        bits |= (how == ANY ? how | now << 2 : how) << held;
        held += how == ANY ? 6 : 2;
        before = now;
        for (; held >= 8; held -= 8, bits >>= 8) out[used++] = (uint8_t)bits;
    }
    if (held) out[used++] = (uint8_t)bits;
    return used;
}

size_t ck_huffman_get_lengths(const uint8_t *in, size_t n_in, unsigned first, unsigned last, uint8_t *lengths) {
    uint32_t bits = 0;
    unsigned held = 0, now = CK_HUFFMAN_BITS;
    size_t used = 0;
    memset(lengths, 0, 256);
    for (unsigned s = first; s <= last; s++) {
        for (; held < 6 && used < n_in; held += 8) bits |= (uint32_t)in[used++] << held;
        unsigned how = bits & 3, size = how == ANY ? 6 : 2;
        if (size > held) return 0;
        now = how == ANY ? bits >> 2 & 15 : how == MORE ? now + 1 : how == LESS ? now - 1 : now;
        if (now > CK_HUFFMAN_BITS) return 0; /* one less than 0 as well */
        lengths[s] = (uint8_t)now;
        bits >>= size;
        held -= size;
    }
    for (; held >= 8; held -= 8, used--) /* read ahead, and not used */
        bits &= (1u << (held - 8)) - 1;
    return bits ? 0 : used;
}

int ck_huffman_code(const uint8_t *lengths, ck_code *code) {
    unsigned starts[CK_HUFFMAN_BITS + 1] = {0}, next = 0;
    for (unsigned s = 0; s < 256; s++)
        if (lengths[s]) starts[lengths[s]]++;
    for (unsigned l = 0; l <= CK_HUFFMAN_BITS; l++) {
        unsigned count = starts[l];
        starts[l] = next;
        next += count;
    }
    code->n = next;
    memset(code->leaf, 0, sizeof code->leaf);
    for (unsigned s = 0; s < 256; s++) {
        if (!lengths[s]) continue;
        code->leaf[s] = (uint8_t)starts[lengths[s]];
        code->symbol[starts[lengths[s]]++] = (uint8_t)s;
    }
    next = 0;
    for (unsigned i = 0; i < code->n; i++) {
        code->code[i] = (uint16_t)next;
        next += 1u << (CK_HUFFMAN_BITS - lengths[code->symbol[i]]);
        if (next > 1u << CK_HUFFMAN_BITS) return 0;
    }
    return code->n >= 2 && next == 1u << CK_HUFFMAN_BITS;
}

unsigned ck_huffman_split(const ck_code *code, unsigned first, unsigned end, unsigned depth) {
    while (first < end && !(code->code[first] >> (CK_HUFFMAN_BITS - 1 - depth) & 1)) first++;
    return first;
}
