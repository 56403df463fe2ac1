/* The code of one Huffman block: lengths from counts, and the canonical code from lengths. See ck_kernels.h. */
#ifndef CK_HUFFMAN_H
#define CK_HUFFMAN_H

#include "ck_common.h"

#define CK_HUFFMAN_BITS 12u     /* longest code */

typedef struct ck_code {
    unsigned n;             /* leaves: symbols that occur */
    uint8_t symbol[256];    /* of each leaf, in the order of their codes */
    uint8_t leaf[256];      /* of each symbol; 0 if it does not occur */
    uint16_t code[257];     /* of each leaf, from bit CK_HUFFMAN_BITS - 1 downwards; ascending */
} ck_code;

/* Code lengths (0: does not occur) that cost the fewest bits, none above CK_HUFFMAN_BITS. Returns the symbols that occur;
 * with fewer than two the lengths are all 0. counts: below 2^16. */
unsigned ck_huffman_lengths(const uint32_t *counts, uint8_t *lengths);

/* Lengths of the symbols first .. last as bits, lowest first, from the length of the one before (12 at the start): 0 the same,
 * 1 one more, 2 one less, 3 any, whose four bits follow. Two bits do for most. out: CK_HUFFMAN_LENGTHS bytes. Returns the
 * bytes used. */
#define CK_HUFFMAN_LENGTHS (256u * 6u / 8u)
size_t ck_huffman_put_lengths(const uint8_t *lengths, unsigned first, unsigned last, uint8_t *out);

/* The inverse; all other lengths become 0. Returns the bytes read, or 0 if they are malformed. */
size_t ck_huffman_get_lengths(const uint8_t *in, size_t n_in, unsigned first, unsigned last, uint8_t *lengths);

/* The canonical code: ascending by (length, symbol). Returns 0 unless the code is complete and has two leaves at least.
 * lengths: none above CK_HUFFMAN_BITS. */
int ck_huffman_code(const uint8_t *lengths, ck_code *code);

/* The first leaf in [first, end) whose code has a one at this depth; both kinds are there if code and range are whole. */
unsigned ck_huffman_split(const ck_code *code, unsigned first, unsigned end, unsigned depth);

#endif
