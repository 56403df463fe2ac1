/* translate(src, n, table, dst): dst[i] = table[src[i]], in three ways; by shuffles it is quicker where most of the table
 * is 0. */

#if defined(CK_VBMI2)

/* A table of 256 bytes in registers. */
typedef struct CK_VFN(lookup) {
    __m512i t[4];
} CK_VFN(lookup);

CK_INLINE CK_TARGET CK_VFN(lookup) CK_VFN(load_lookup)(const uint8_t *table) {
    CK_VFN(lookup) found;
    for (size_t i = 0; i < 4; i++) found.t[i] = _mm512_loadu_si512(table + 64 * i);
    return found;
}

CK_INLINE CK_TARGET __m512i CK_VFN(look_up)(const CK_VFN(lookup) *in, __m512i x) {
    __m512i a = _mm512_permutex2var_epi8(in->t[0], x, in->t[1]), b = _mm512_permutex2var_epi8(in->t[2], x, in->t[3]);
    return _mm512_mask_mov_epi8(a, _mm512_movepi8_mask(x), b);
}

CK_FN void CK_VFN(translate)(const uint8_t *src, size_t n, const uint8_t *table, uint8_t *dst) {
    const CK_VFN(lookup) in = CK_VFN(load_lookup)(table);
    size_t i = 0;
    for (; n - i >= 64; i += 64) _mm512_storeu_si512(dst + i, CK_VFN(look_up)(&in, _mm512_loadu_si512(src + i)));
    if (i < n) {
        uint64_t here = (1ull << (n - i)) - 1;
        _mm512_mask_storeu_epi8(dst + i, here, CK_VFN(look_up)(&in, _mm512_maskz_loadu_epi8(here, src + i)));
    }
}

#elif defined(CK_SHUFFLES)

/* Sixteen entries of the table at a time, and only those parts of it that are not all 0: the live symbols of a plane are
 * mostly neighbours. An index outside the part has its top bit set by then, for which a shuffle gives 0. */
CK_FN void CK_VFN(translate)(const uint8_t *src, size_t n, const uint8_t *table, uint8_t *dst) {
    __m256i part[16], from[16];
    size_t parts = 0, i = 0;
    for (size_t p = 0; p < 256; p += 16) {
        __m128i t = _mm_loadu_si128((const __m128i *)(table + p));
        if (_mm_testz_si128(t, t)) continue;
        part[parts] = _mm256_broadcastsi128_si256(t);
        from[parts++] = _mm256_set1_epi8((char)p);
    }
    for (; n - i >= 32; i += 32) {
        __m256i x = _mm256_loadu_si256((const __m256i *)(src + i)), found = _mm256_setzero_si256();
        for (size_t p = 0; p < parts; p++) {
            __m256i at = _mm256_adds_epu8(_mm256_sub_epi8(x, from[p]), _mm256_set1_epi8(0x70));
            found = _mm256_or_si256(found, _mm256_shuffle_epi8(part[p], at));
        }
        _mm256_storeu_si256((__m256i *)(dst + i), found);
    }
    for (; i < n; i++) dst[i] = table[src[i]];
}

#else

CK_FN void CK_VFN(translate)(const uint8_t *src, size_t n, const uint8_t *table, uint8_t *dst) {
    for (size_t i = 0; i < n; i++) dst[i] = table[src[i]];
}

#endif
