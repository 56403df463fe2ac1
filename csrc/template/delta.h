/* delta_split and delta_merge for one width; included once per width W (in bits), element type U. See ck_kernels.h.
 *
 * A block of elements goes through three stages with local rows between them, so that the first and the last
 * vectorise: predict and classify; pack or fetch the low bits, one element after the other; rebuild. */

#define CK_E (W == 8 ? 6 : W == 16 ? 3 : W == 32 ? 2 : 1)
#define CK_K_MAX (W - 2 - CK_E)
/* Elements whose low bits, CK_K_MAX of each, fit into a 64-bit word behind 7 older bits; one of 64 bits takes two words. */
#define CK_GROUP (W == 8 ? 8 : W == 16 ? 4 : W == 32 ? 2 : 1)

typedef struct {
    U low[CK_BLOCK];
    uint8_t k[CK_BLOCK];
} CK_WFN(delta_rows);

CK_INLINE U CK_WFN(order)(U x, int is_float) {
    U negative = (U)(0 - (U)(x >> (W - 1)));
    return is_float ? (U)(x ^ (U)(negative >> 1)) : x;
}

/* Position of the highest bit of x | 2^E, less E: the number of low bits that go to the bit stream. x < 2^(W-1). */
CK_INLINE unsigned CK_WFN(low_bits)(U x) {
#if W == 64
    return 63u - CK_E - (unsigned)__builtin_clzll(x | (1u << CK_E));
#elif W == 32 && defined(CK_VBMI2)
    return 31u - CK_E - (unsigned)__builtin_clz(x | (1u << CK_E));
#else
    /* The exponent of a float is found by every vector unit, a bit scan is not. Without adjacent ones below the highest
     * bit no rounding can reach the next power of two. */
    uint32_t y = (uint32_t)x | (1u << CK_E), image;
    float exact = (float)(int32_t)(y & ~(y >> 1));
    memcpy(&image, &exact, sizeof image);
    return (image >> 23) - 127u - CK_E;
#endif
}

CK_INLINE void CK_WFN(classify)(const uint8_t *CK_RESTRICT src, const uint8_t *CK_RESTRICT base, size_t count,
                                int is_float, uint8_t *CK_RESTRICT symbols, CK_WFN(delta_rows) *CK_RESTRICT rows) {
    for (size_t j = 0; j < count; j++) {
        CK_LOAD(U, x, src + j * sizeof(U));
        CK_LOAD(U, b, base + j * sizeof(U));
        U d = (U)(CK_WFN(order)(x, is_float) - CK_WFN(order)(b, is_float));
        U s = (U)(d >> (W - 1));
        U g = (U)(d ^ (U)(0 - s));
        unsigned k = CK_WFN(low_bits)(g);
        U head = (U)(g >> k);
        rows->k[j] = (uint8_t)k;
        rows->low[j] = (U)(g ^ (U)(head << k));
        symbols[j] = (uint8_t)(2 * ((k << CK_E) + (unsigned)head) + (unsigned)s);
    }
}

#if defined(CK_VBMI2) && W == 16
CK_INLINE CK_TARGET void CK_WFN(classify_block)(const uint8_t *src, const uint8_t *base, int is_float, uint8_t *symbols,
                                                CK_WFN(delta_rows) *rows) {
    for (size_t j = 0; j < CK_BLOCK; j += 32) {
        CK_VFN(differences) d = CK_VFN(difference)(src + 2 * j, base + 2 * j, is_float);
        __m512i k = _mm512_subs_epu16(CK_VFN(bit_lengths)(d.g), _mm512_set1_epi16(1 + CK_E));
        CK_VFN(put_differences)(d, k, _mm512_slli_epi16(k, CK_E), _mm512_set1_epi16(-1), symbols + j, rows->low + j, rows->k + j);
    }
}
#else
CK_INLINE void CK_WFN(classify_block)(const uint8_t *src, const uint8_t *base, int is_float, uint8_t *symbols,
                                      CK_WFN(delta_rows) *rows) {
    CK_WFN(classify)(src, base, CK_BLOCK, is_float, symbols, rows);
}
#endif

#if W > 8 /* else there are no low bits */
/* `group` elements have at most CK_PUT_MOST low bits together, or are one of 64 bits. */
CK_INLINE uint8_t *CK_WFN(pack)(const CK_WFN(delta_rows) *rows, size_t count, size_t group, uint8_t *out, uint64_t *acc,
                                unsigned *fill) {
    for (size_t j = 0; j < count; j += group) {
        uint64_t word = 0;
        unsigned width = 0;
        for (size_t g = 0; g < group; g++) {
            word |= (uint64_t)rows->low[j + g] << width;
            width += rows->k[j + g];
        }
        if (W == 64 && group == 1) {
            unsigned first = width < 32 ? width : 32;
            out = ck_put(out, acc, fill, word & (((uint64_t)1 << first) - 1), first);
            word >>= first;
            width -= first;
        }
        out = ck_put(out, acc, fill, word, width);
    }
    return out;
}

/* The most low bits that an element of the block has. */
CK_INLINE unsigned CK_WFN(most_low)(const CK_WFN(delta_rows) *rows) {
    uint8_t most = 0;
    for (size_t j = 0; j < CK_BLOCK; j++) most = rows->k[j] > most ? rows->k[j] : most;
    return most;
}

/* pack with the largest group that fits. */
CK_INLINE uint8_t *CK_WFN(pack_block)(const CK_WFN(delta_rows) *rows, size_t count, uint8_t *out, uint64_t *acc,
                                      unsigned *fill) {
    unsigned most = CK_WFN(most_low)(rows);
    if (most == 0) return out;
#if defined(CK_LANE_SHIFTS) && W == 16
    if (most <= CK_PUT_MOST / CK_GROUP) return CK_WFN(pack_words)(rows->low, rows->k, out, acc, fill);
#endif
    if (most <= CK_PUT_MOST / (2 * CK_GROUP)) return CK_WFN(pack)(rows, count, 2 * CK_GROUP, out, acc, fill);
#if defined(CK_LANE_SHIFTS) && W == 32
    if (most <= CK_PUT_MOST / CK_GROUP) return CK_WFN(pack_words)(rows->low, rows->k, out, acc, fill);
#endif
    if (most <= CK_PUT_MOST / CK_GROUP || W == 64) return CK_WFN(pack)(rows, count, CK_GROUP, out, acc, fill);
    return CK_WFN(pack)(rows, count, (CK_GROUP + 1) / 2, out, acc, fill);
}
#endif

CK_FN size_t CK_WFN(delta_split)(const uint8_t *CK_RESTRICT src, const uint8_t *CK_RESTRICT base, size_t n,
                                 int is_float, uint8_t *CK_RESTRICT symbols, uint8_t *CK_RESTRICT bits) {
    CK_WFN(delta_rows) rows;
    uint8_t *out = bits;
    uint64_t acc = 0;
    unsigned fill = 0;
    for (size_t i = 0; i < n; i += CK_BLOCK) {
        size_t at = i * sizeof(U), count = n - i < CK_BLOCK ? n - i : CK_BLOCK;
        if (count == CK_BLOCK) {
            CK_WFN(classify_block)(src + at, base + at, is_float, symbols + i, &rows);
        } else {
            memset(&rows, 0, sizeof rows);
            CK_WFN(classify)(src + at, base + at, count, is_float, symbols + i, &rows);
        }
#if W > 8
        out = CK_WFN(pack_block)(&rows, count, out, &acc, &fill);
#endif
    }
    if (fill) *out++ = (uint8_t)acc;
    return (size_t)(out - bits);
}

/* Fills rows->k from the symbols. Returns the bits the block needs, or CK_FAILED. */
CK_INLINE size_t CK_WFN(lengths)(const uint8_t *symbols, size_t count, CK_WFN(delta_rows) *rows) {
    unsigned total = 0;
    uint8_t most = 0;
    for (size_t j = 0; j < count; j++) {
        uint8_t q = (uint8_t)(symbols[j] >> (1 + CK_E)), k = (uint8_t)(q - (q != 0));
        rows->k[j] = k;
        total += k;
        most = k > most ? k : most;
    }
    return most > CK_K_MAX ? CK_FAILED : total;
}

#if W > 8
/* Fills rows->low with the low bits that begin at bit `pos` of `bits`; may read 16 bytes past the last of them.
 * `group` is as in pack. */
CK_INLINE void CK_WFN(fetch)(const uint8_t *bits, size_t pos, size_t count, size_t group, CK_WFN(delta_rows) *rows) {
    for (size_t j = 0; j < count; j += group) {
        CK_LOAD(uint64_t, word, bits + (pos >> 3));
        unsigned shift = (unsigned)pos & 7;
        word >>= shift;
#if W == 64
        word |= (uint64_t)bits[(pos >> 3) + 8] << 1 << (63 - shift);
#endif
        for (size_t g = 0; g < group; g++) {
            unsigned k = rows->k[j + g];
            rows->low[j + g] = (U)(word & (((uint64_t)1 << k) - 1));
            word >>= k;
            pos += k;
        }
    }
}

/* fetch with the largest group that fits, from a copy where it would read past the n_bits bytes of `bits`; the low bits
 * themselves are all there. */
CK_INLINE void CK_WFN(fetch_block)(const uint8_t *bits, size_t n_bits, size_t pos, size_t count, CK_WFN(delta_rows) *rows) {
    uint8_t tail[CK_BLOCK * sizeof(U) + 32];
    size_t first = pos >> 3;
    unsigned most = CK_WFN(most_low)(rows);
    if (most == 0) {
        memset(rows->low, 0, sizeof rows->low);
        return;
    }
    if (n_bits - first < sizeof tail) {
        memset(tail, 0, sizeof tail);
        memcpy(tail, bits + first, n_bits - first);
        bits = tail;
        pos &= 7;
    }
    if (most <= CK_PUT_MOST / (2 * CK_GROUP)) CK_WFN(fetch)(bits, pos, count, 2 * CK_GROUP, rows);
    else if (most <= CK_PUT_MOST / CK_GROUP || W == 64) CK_WFN(fetch)(bits, pos, count, CK_GROUP, rows);
    else CK_WFN(fetch)(bits, pos, count, (CK_GROUP + 1) / 2, rows);
}
#endif

CK_INLINE void CK_WFN(rebuild)(const uint8_t *CK_RESTRICT symbols, const uint8_t *CK_RESTRICT base, size_t count,
                               int is_float, const CK_WFN(delta_rows) *CK_RESTRICT rows, uint8_t *CK_RESTRICT dst) {
    for (size_t j = 0; j < count; j++) {
        CK_LOAD(U, b, base + j * sizeof(U));
        unsigned k = rows->k[j];
        U head = (U)((unsigned)(symbols[j] >> 1) - (k << CK_E));
        U g = (U)((U)(head << k) | rows->low[j]);
        U d = (U)(g ^ (U)(0 - (U)(symbols[j] & 1)));
        U x = CK_WFN(order)((U)(CK_WFN(order)(b, is_float) + d), is_float);
        CK_STORE(dst + j * sizeof(U), x);
    }
}

CK_FN size_t CK_WFN(delta_merge)(const uint8_t *CK_RESTRICT symbols, const uint8_t *CK_RESTRICT bits, size_t n_bits,
                                 const uint8_t *CK_RESTRICT base, size_t n, int is_float, uint8_t *CK_RESTRICT dst) {
    CK_WFN(delta_rows) rows;
    size_t pos = 0;
    for (size_t i = 0; i < n; i += CK_BLOCK) {
        size_t at = i * sizeof(U), count = n - i < CK_BLOCK ? n - i : CK_BLOCK;
        if (count < CK_BLOCK || W == 8) memset(&rows, 0, sizeof rows);
        size_t need = CK_WFN(lengths)(symbols + i, count, &rows);
        if (need == CK_FAILED || (pos + need + 7) >> 3 > n_bits) return CK_FAILED;
#if W > 8
        CK_WFN(fetch_block)(bits, n_bits, pos, count, &rows);
#endif
        CK_WFN(rebuild)(symbols + i, base + at, count, is_float, &rows, dst + at);
        pos += need;
    }
    if ((pos + 7) >> 3 != n_bits) return CK_FAILED;
    return pos & 7 && bits[n_bits - 1] >> (pos & 7) ? CK_FAILED : n_bits;
}

#undef CK_E
#undef CK_K_MAX
