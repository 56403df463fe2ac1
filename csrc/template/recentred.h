/* recentred_split, recentred_merge and recentred_tally for one width of float; included once per width W > 8 (in bits),
 * element type U, after delta.h, whose stages it shares: it differs in the classes alone. See ck_kernels.h. */

#define CK_CLASSES 32

/* Bit length of g < 2^(W-1). */
CK_INLINE int CK_WFN(bit_length)(U g) {
#if W == 64
    return g ? 64 - __builtin_clzll(g) : 0;
#elif W == 32 && defined(CK_VBMI2)
    return 31 - __builtin_clz(2 * g + 1);
#else
    uint32_t image; /* as in low_bits */
    float exact = (float)(int32_t)((uint32_t)g & ~((uint32_t)g >> 1));
    memcpy(&image, &exact, sizeof image);
    int length = (int)(image >> 23) - 126;
    return length > 0 ? length : 0;
#endif
}

CK_INLINE int CK_WFN(exponent)(U x, unsigned mantissa) {
    return (int)((U)(x & ((U)-1 >> 1)) >> mantissa);
}

CK_INLINE void CK_WFN(recentred_classify)(const uint8_t *CK_RESTRICT src, const uint8_t *CK_RESTRICT base, size_t count,
                                          unsigned mantissa, int origin, uint8_t *CK_RESTRICT symbols,
                                          CK_WFN(delta_rows) *CK_RESTRICT rows) {
    for (size_t j = 0; j < count; j++) {
        CK_LOAD(U, x, src + j * sizeof(U));
        CK_LOAD(U, b, base + j * sizeof(U));
        U d = (U)(CK_WFN(order)(x, 1) - CK_WFN(order)(b, 1));
        U s = (U)(d >> (W - 1));
        U g = (U)(d ^ (U)(0 - s));
        int length = CK_WFN(bit_length)(g), below = origin - CK_WFN(exponent)(b, mantissa);
        int c = ck_clamp(length - below, 0, CK_CLASSES - 1), inner = length > 3 ? length - 3 : 0;
        int least = below < W - 1 ? below : W - 1; /* in class 0 below >= length >= 0 */
        int is_first = -(c == 0), is_last = -(c == CK_CLASSES - 1); /* masks: branches would often be mispredicted */
        unsigned k = (unsigned)((least & is_first) | ((W - 1) & is_last) | (inner & ~(is_first | is_last)));
        U head = (U)(g >> k); /* none in the outer classes, whose k bits are all */
        rows->k[j] = (uint8_t)k;
        rows->low[j] = (U)(g ^ (U)(head << k));
        symbols[j] = (uint8_t)(8 * (unsigned)c + 2 * ((unsigned)head & 3) + (unsigned)s);
    }
}

#if defined(CK_VBMI2) && W == 16
CK_INLINE CK_TARGET void CK_WFN(recentred_classify_block)(const uint8_t *src, const uint8_t *base, unsigned mantissa,
                                                          int origin, uint8_t *symbols, CK_WFN(delta_rows) *rows) {
    const __m512i magnitude = _mm512_set1_epi16(0x7fff), all = _mm512_set1_epi16(W - 1);
    const __m512i first = _mm512_setzero_si512(), last = _mm512_set1_epi16(CK_CLASSES - 1);
    for (size_t j = 0; j < CK_BLOCK; j += 32) {
        CK_VFN(differences) d = CK_VFN(difference)(src + 2 * j, base + 2 * j, 1);
        __m512i e = _mm512_srl_epi16(_mm512_and_si512(d.base, magnitude), _mm_cvtsi32_si128((int)mantissa));
        __m512i length = CK_VFN(bit_lengths)(d.g), below = _mm512_sub_epi16(_mm512_set1_epi16((short)origin), e);
        __m512i c = _mm512_min_epi16(_mm512_max_epi16(_mm512_sub_epi16(length, below), first), last);
        __m512i k = _mm512_subs_epu16(length, _mm512_set1_epi16(3));
        k = _mm512_mask_min_epi16(k, _mm512_cmpeq_epi16_mask(c, first), below, all);
        k = _mm512_mask_mov_epi16(k, _mm512_cmpeq_epi16_mask(c, last), all);
        CK_VFN(put_differences)(d, k, _mm512_slli_epi16(c, 2), _mm512_set1_epi16(3), symbols + j, rows->low + j, rows->k + j);
    }
}
#else
CK_INLINE void CK_WFN(recentred_classify_block)(const uint8_t *src, const uint8_t *base, unsigned mantissa, int origin,
                                                uint8_t *symbols, CK_WFN(delta_rows) *rows) {
    CK_WFN(recentred_classify)(src, base, CK_BLOCK, mantissa, origin, symbols, rows);
}
#endif

CK_FN size_t CK_WFN(recentred_split)(const uint8_t *CK_RESTRICT src, const uint8_t *CK_RESTRICT base, size_t n,
                                     unsigned mantissa, int origin, uint8_t *CK_RESTRICT symbols,
                                     uint8_t *CK_RESTRICT bits) {
    CK_WFN(delta_rows) rows;
    uint8_t *out = bits;
    uint64_t acc = 0;
    unsigned fill = 0;
    for (size_t i = 0; i < n; i += CK_BLOCK) {
        size_t at = i * sizeof(U), count = n - i < CK_BLOCK ? n - i : CK_BLOCK;
        if (count == CK_BLOCK) {
            CK_WFN(recentred_classify_block)(src + at, base + at, mantissa, origin, symbols + i, &rows);
        } else {
            memset(&rows, 0, sizeof rows);
            CK_WFN(recentred_classify)(src + at, base + at, count, mantissa, origin, symbols + i, &rows);
        }
        out = CK_WFN(pack_block)(&rows, count, out, &acc, &fill);
    }
    if (fill) *out++ = (uint8_t)acc;
    return (size_t)(out - bits);
}

/* Fills rows->k, and high with what the symbols say of the differences. Returns the bits the block needs, or CK_FAILED
 * for a class that no difference to this base can have. */
CK_INLINE size_t CK_WFN(recentred_lengths)(const uint8_t *CK_RESTRICT symbols, const uint8_t *CK_RESTRICT base,
                                           size_t count, unsigned mantissa, int origin,
                                           CK_WFN(delta_rows) *CK_RESTRICT rows, U *CK_RESTRICT high) {
    unsigned total = 0;
    int bad = 0;
    for (size_t j = 0; j < count; j++) {
        CK_LOAD(U, b, base + j * sizeof(U));
        int c = symbols[j] >> 3, below = origin - CK_WFN(exponent)(b, mantissa), length = c + below;
        int outer = (unsigned)(c - 1) >= CK_CLASSES - 2, k = c == 0 ? ck_clamp(below, 0, W - 1) : c == CK_CLASSES - 1 ? W - 1 : ck_clamp(length - 3, 0, W - 4);
        int head = outer ? 0 : (symbols[j] >> 1 & 3) | (length >= 3 ? 4 : 0);
        int wrong = (length < 0) | (length > W - 1);
        bad |= outer ? 0 : wrong;
        rows->k[j] = (uint8_t)k;
        high[j] = (U)((U)head << k);
    }
    for (size_t j = 0; j < count; j++) total += rows->k[j];
    return bad ? CK_FAILED : total;
}

CK_INLINE void CK_WFN(recentred_rebuild)(const uint8_t *CK_RESTRICT symbols, const uint8_t *CK_RESTRICT base, size_t count,
                                         const CK_WFN(delta_rows) *CK_RESTRICT rows, const U *CK_RESTRICT high,
                                         uint8_t *CK_RESTRICT dst) {
    for (size_t j = 0; j < count; j++) {
        CK_LOAD(U, b, base + j * sizeof(U));
        U d = (U)((high[j] | rows->low[j]) ^ (U)(0 - (U)(symbols[j] & 1)));
        U x = CK_WFN(order)((U)(CK_WFN(order)(b, 1) + d), 1);
        CK_STORE(dst + j * sizeof(U), x);
    }
}

CK_FN size_t CK_WFN(recentred_merge)(const uint8_t *CK_RESTRICT symbols, const uint8_t *CK_RESTRICT bits, size_t n_bits,
                                     const uint8_t *CK_RESTRICT base, size_t n, unsigned mantissa, int origin,
                                     uint8_t *CK_RESTRICT dst) {
    CK_WFN(delta_rows) rows;
    U high[CK_BLOCK];
    size_t pos = 0;
    for (size_t i = 0; i < n; i += CK_BLOCK) {
        size_t at = i * sizeof(U), count = n - i < CK_BLOCK ? n - i : CK_BLOCK;
        if (count < CK_BLOCK) memset(&rows, 0, sizeof rows);
        size_t need = CK_WFN(recentred_lengths)(symbols + i, base + at, count, mantissa, origin, &rows, high);
        if (need == CK_FAILED || (pos + need + 7) >> 3 > n_bits) return CK_FAILED;
        CK_WFN(fetch_block)(bits, n_bits, pos, count, &rows);
        CK_WFN(recentred_rebuild)(symbols + i, base + at, count, &rows, high, dst + at);
        pos += need;
    }
    if ((pos + 7) >> 3 != n_bits) return CK_FAILED;
    return pos & 7 && bits[n_bits - 1] >> (pos & 7) ? CK_FAILED : n_bits;
}

CK_INLINE void CK_WFN(recentred_tally_block)(const uint8_t *CK_RESTRICT src, const uint8_t *CK_RESTRICT base, size_t count,
                                             unsigned mantissa, CK_VFN(tally_rows) *CK_RESTRICT rows) {
    for (size_t j = 0; j < count; j++) {
        CK_LOAD(U, x, src + j * sizeof(U));
        CK_LOAD(U, b, base + j * sizeof(U));
        U d = (U)(CK_WFN(order)(x, 1) - CK_WFN(order)(b, 1));
        U s = (U)(d >> (W - 1));
        U g = (U)(d ^ (U)(0 - s));
        int length = CK_WFN(bit_length)(g), exponent = CK_WFN(exponent)(b, mantissa), k = length > 3 ? length - 3 : 0;
        rows->at[j] = (uint16_t)(length + exponent);
        rows->exponent[j] = (uint16_t)exponent;
        rows->low[j] = (uint8_t)k;
        unsigned head = W == 64 ? (unsigned)(g >> k) : (uint32_t)g >> k;
        rows->symbol[j] = (uint8_t)(2 * (head & 3) + (unsigned)s);
    }
}

CK_FN void CK_WFN(recentred_tally)(const uint8_t *src, const uint8_t *base, size_t n, unsigned mantissa,
                                   ck_tally *CK_RESTRICT tallies) {
    CK_VFN(tally_rows) rows;
    for (size_t i = 0; i < n; i += CK_BLOCK) {
        size_t at = i * sizeof(U), count = n - i < CK_BLOCK ? n - i : CK_BLOCK;
        if (count == CK_BLOCK) CK_WFN(recentred_tally_block)(src + at, base + at, CK_BLOCK, mantissa, &rows);
        else CK_WFN(recentred_tally_block)(src + at, base + at, count, mantissa, &rows);
        for (size_t j = 0; j < count; j++) {
            ck_tally *tally = &tallies[rows.at[j]];
            tally->symbols[rows.symbol[j]]++;
            tally->sums += (uint64_t)rows.exponent[j] << 32 | rows.low[j];
            tallies[rows.exponent[j]].bases++;
        }
    }
}

#undef CK_CLASSES
