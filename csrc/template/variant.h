/* One whole variant: included once by each ck_<isa>.c, which defines CK_ISA (its name) and CK_TARGET (the attribute). */
#include "ck_float.h"
#include "ck_huffman.h"
#include "ck_kernels.h"
#include "ck_origin.h"

#define CK_FN static CK_TARGET
#define CK_BLOCK 256
#define CK_VFN(name) CK_JOIN(CK_JOIN(ck_, name), CK_JOIN(_, CK_ISA))
#define CK_WFN(name) CK_JOIN(CK_VFN(name), CK_JOIN(_, W))

/* Appends `width` bits, at most CK_PUT_MOST, to the stream at `out`. Writes 8 bytes, advances by the whole ones. */
#define CK_PUT_MOST 56u
CK_INLINE uint8_t *ck_put(uint8_t *out, uint64_t *acc, unsigned *fill, uint64_t word, unsigned width) {
    uint64_t all = *acc | word << *fill;
    unsigned total = *fill + width;
    CK_STORE(out, all);
    *acc = all >> (total & ~7u);
    *fill = total & 7;
    return out + (total >> 3);
}

CK_INLINE int ck_clamp(int x, int least, int most) { return x < least ? least : x > most ? most : x; }

/* What a block takes of a row and of the chunk that have so much left. */
CK_INLINE size_t ck_part(size_t row, size_t all) {
    size_t left = row < all ? row : all;
    return left < CK_BLOCK ? left : CK_BLOCK;
}

/* Bits set in a byte; the builtin would call a library where the machine has no instruction for it. */
CK_INLINE size_t ck_ones(unsigned byte) {
    unsigned pairs = byte - (byte >> 1 & 0x55), nibbles = (pairs & 0x33) + (pairs >> 2 & 0x33);
    return (nibbles + (nibbles >> 4)) & 15;
}

/* Eight bytes of 0 or 1 as the bits of one, the first lowest. */
CK_INLINE unsigned ck_gather(const uint8_t *flags) {
    CK_LOAD(uint64_t, word, flags);
    return (unsigned)(word * 0x0102040810204080u >> 56);
}

#include "halves.h"
#include "words.h"

/* What a block adds to the tallies of recentred_origin. */
typedef struct {
    uint16_t at[CK_BLOCK], exponent[CK_BLOCK];
    uint8_t low[CK_BLOCK], symbol[CK_BLOCK];
} CK_VFN(tally_rows);

#define W 8
#define U uint8_t
#include "widths.h"
#define W 16
#define U uint16_t
#include "widths.h"
#define W 32
#define U uint32_t
#include "widths.h"
#define W 64
#define U uint64_t
#include "widths.h"

#include "predict.h"
#include "round.h"
#include "scan.h"
#include "huffman.h"
#include "palette.h"
#include "gaps.h"
#include "table.h"
