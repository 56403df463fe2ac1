/* huffman_encode and huffman_decode. See ck_kernels.h for the format.
 *
 * Source: M. Zukowski, PivCo-Huffman (arXiv 2606.05765). A block is coded by partition: at each inner node of the code's
 * tree, a bitmap says which of the symbols that come through go to the right. Encoding parts the symbols top down,
 * decoding merges them bottom up. Both are loops over many symbols without a branch, which vector units do well.
 *
 * The symbols of a node at depth d lie in row d % 2 of the work memory, at its offset in the block; its children lie in
 * the other row at the same place. So no more than two rows are ever needed. */
#include "lookup.h"
#include "parting.h"

#define CK_ROW (CK_HUFFMAN_BLOCK + 64u) /* merges may read 64 bytes behind what they need */

#include "counting.h"

/* The walk through the tree of one block. */
typedef struct CK_VFN(walk) {
    ck_code code;
    uint8_t *row[2];
    uint8_t *out, *limit;
    const uint8_t *in, *end;
} CK_VFN(walk);

/* Writes the node of the n symbols at `at` and all below it. Returns 0 if it does not fit. */
CK_FN int CK_VFN(part_node)(CK_VFN(walk) *w, unsigned depth, unsigned first, unsigned end, size_t at, size_t n) {
    unsigned middle = ck_huffman_split(&w->code, first, end, depth);
    uint8_t *bitmap = w->out, *below = w->row[(depth + 1) & 1] + at;
    const uint8_t *here = w->row[depth & 1] + at;
    int deep_left = middle - first > 1, deep_right = end - middle > 1;
    if ((size_t)(w->limit - bitmap) < (n + 7) / 8) return 0;
    w->out += (n + 7) / 8;
    size_t n_left = n - CK_VFN(mark)(here, n, (uint8_t)middle, bitmap);
    if (deep_left || deep_right)
        CK_VFN(part)(here, n, bitmap, deep_left ? below : NULL, n_left, deep_right ? below + n_left : NULL);
    if (deep_left && !CK_VFN(part_node)(w, depth + 1, first, middle, at, n_left)) return 0;
    return !deep_right || CK_VFN(part_node)(w, depth + 1, middle, end, at + n_left, n - n_left);
}

/* Writes the head of a coded block and its tree. Returns the bytes, or 0 if they would be more than n. */
CK_FN size_t CK_VFN(encode_tree)(const uint8_t *src, size_t n, const uint8_t *lengths, uint8_t *out, uint8_t *work) {
    CK_VFN(walk) w;
    uint8_t head[3 + CK_HUFFMAN_LENGTHS];
    unsigned first = 0, last = 255;
    while (!lengths[first]) first++;
    while (!lengths[last]) last--;
    head[0] = CK_HUFFMAN_CODED;
    head[1] = (uint8_t)first;
    head[2] = (uint8_t)last;
    size_t n_head = 3 + ck_huffman_put_lengths(lengths, first, last, head + 3);
    if (n_head >= n) return 0;
    memcpy(out, head, n_head);
    w.out = out + n_head;
    w.limit = out + n;
    w.row[0] = work;
    w.row[1] = work + CK_ROW;
    ck_huffman_code(lengths, &w.code);
    CK_VFN(translate)(src, n, w.code.leaf, w.row[0]);
    return CK_VFN(part_node)(&w, 0, 0, w.code.n, 0, n) ? (size_t)(w.out - out) : 0;
}

/* Returns the bytes of the block; it is stored raw where coding does not gain. before: see counting.h. */
CK_FN size_t CK_VFN(encode_block)(const uint8_t *src, size_t n, size_t step, uint32_t *before, uint8_t *out, uint8_t *work) {
    uint32_t counts[256];
    uint8_t lengths[256];
    size_t bits = 0, counted = 0, used = 0;
    CK_VFN(estimate)(src, n, step, before, counts, work);
    if (ck_huffman_lengths(counts, lengths) < 2 || CK_VFN(is_constant)(src, n, 1)) {
        out[0] = CK_HUFFMAN_CONSTANT;
        out[1] = src[0];
        return 2;
    }
    for (unsigned s = 0; s < 256; s++) bits += (size_t)counts[s] * lengths[s], counted += counts[s];
    if (bits < 8 * counted) used = CK_VFN(encode_tree)(src, n, lengths, out, work);
    if (used) return used;
    out[0] = CK_HUFFMAN_RAW;
    memcpy(out + 1, src, n);
    return n + 1;
}

CK_FN size_t CK_VFN(huffman_encode)(const uint8_t *src, size_t n, size_t step, uint8_t *out, uint8_t *work) {
    uint8_t *to = out;
    uint32_t before[256] = {0};
    for (size_t i = 0; i < n; i += CK_HUFFMAN_BLOCK) {
        size_t few = n - i < CK_HUFFMAN_BLOCK ? n - i : CK_HUFFMAN_BLOCK;
        to += CK_VFN(encode_block)(src + i, few, step, before, to, work);
    }
    return (size_t)(to - out);
}

/* Merges the n symbols of a node into `dst`. Returns 0 if the input ends too early or holds bits beyond its end. */
CK_FN int CK_VFN(merge_node)(CK_VFN(walk) *w, unsigned depth, unsigned first, unsigned end, size_t at, size_t n,
                             uint8_t *dst) {
    const uint8_t *bitmap = w->in;
    size_t n_bytes = (n + 7) / 8;
    if ((size_t)(w->end - bitmap) < n_bytes || (n & 7 && bitmap[n_bytes - 1] >> (n & 7))) return 0;
    w->in += n_bytes;
    unsigned middle = ck_huffman_split(&w->code, first, end, depth);
    size_t n_right = CK_VFN(ones)(bitmap, n_bytes), n_left = n - n_right;
    uint8_t *left = w->row[depth & 1] + at, *right = left + n_left;
    if (middle - first > 1 && !CK_VFN(merge_node)(w, depth + 1, first, middle, at, n_left, left)) return 0;
    if (end - middle > 1 && !CK_VFN(merge_node)(w, depth + 1, middle, end, at + n_left, n_right, right)) return 0;
    CK_VFN(join)(bitmap, n, middle - first > 1 ? left : NULL, w->code.symbol[first], end - middle > 1 ? right : NULL,
                 w->code.symbol[middle], dst);
    return 1;
}

/* Returns the bytes read of `in`, or 0 if they are no block of n symbols. */
CK_FN size_t CK_VFN(decode_block)(const uint8_t *in, const uint8_t *end, size_t n, uint8_t *dst, uint8_t *work) {
    size_t left = (size_t)(end - in);
    if (left > n && in[0] == CK_HUFFMAN_RAW) {
        memcpy(dst, in + 1, n);
        return n + 1;
    }
    if (left > 1 && in[0] == CK_HUFFMAN_CONSTANT) {
        memset(dst, in[1], n);
        return 2;
    }
    if (left < 4 || in[0] != CK_HUFFMAN_CODED || in[1] >= in[2]) return 0;
    CK_VFN(walk) w;
    uint8_t lengths[256];
    size_t n_head = ck_huffman_get_lengths(in + 3, left - 3, in[1], in[2], lengths);
    if (!n_head || !lengths[in[1]] || !lengths[in[2]]) return 0;
    w.in = in + 3 + n_head;
    w.end = end;
    w.row[0] = work;
    w.row[1] = work + CK_ROW;
    if (!ck_huffman_code(lengths, &w.code) || !CK_VFN(merge_node)(&w, 0, 0, w.code.n, 0, n, dst)) return 0;
    return (size_t)(w.in - in);
}

CK_FN size_t CK_VFN(huffman_decode)(const uint8_t *in, size_t n_in, uint8_t *dst, size_t n, uint8_t *work) {
    const uint8_t *at = in, *end = in + n_in;
    for (size_t i = 0; i < n; i += CK_HUFFMAN_BLOCK) {
        size_t used = CK_VFN(decode_block)(at, end, n - i < CK_HUFFMAN_BLOCK ? n - i : CK_HUFFMAN_BLOCK, dst + i, work);
        if (!used) return CK_FAILED;
        at += used;
    }
    return at == end ? n_in : CK_FAILED;
}
