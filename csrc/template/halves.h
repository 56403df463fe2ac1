/* Differences of elements of 16 bits, 32 at a time, with AVX-512. A compiler shifts each lane by its own count in lanes of
 * 32 bits only, and finds a bit length in them by way of floats: half as many at a time, and more to do. */

#if defined(CK_VBMI2)

/* What belongs to 32 elements; s in all bits of a lane. */
typedef struct CK_VFN(differences) {
    __m512i g, s, base;
} CK_VFN(differences);

CK_INLINE CK_TARGET CK_VFN(differences) CK_VFN(difference)(const uint8_t *src, const uint8_t *base, int is_float) {
    const __m512i signs = _mm512_set1_epi16(is_float ? -1 : 0);
    __m512i x = _mm512_loadu_si512(src), b = _mm512_loadu_si512(base);
    __m512i order_x = _mm512_xor_si512(x, _mm512_srli_epi16(_mm512_and_si512(_mm512_srai_epi16(x, 15), signs), 1));
    __m512i order_b = _mm512_xor_si512(b, _mm512_srli_epi16(_mm512_and_si512(_mm512_srai_epi16(b, 15), signs), 1));
    __m512i d = _mm512_sub_epi16(order_x, order_b), s = _mm512_srai_epi16(d, 15);
    return (CK_VFN(differences)){_mm512_xor_si512(d, s), s, b};
}

CK_INLINE CK_TARGET __m512i CK_VFN(bit_lengths)(__m512i g) {
    __m512i even = _mm512_lzcnt_epi32(_mm512_slli_epi32(g, 16));
    __m512i odd = _mm512_lzcnt_epi32(_mm512_andnot_si512(_mm512_set1_epi32(0xffff), g));
    __m512i zeros = _mm512_mask_blend_epi16(0xaaaaaaaau, even, _mm512_slli_epi32(odd, 16));
    return _mm512_subs_epu16(_mm512_set1_epi16(16), zeros);
}

/* Puts down the low k bits, and symbols = 2 * (classes + the bits of `lead` that are above those) + s. */
CK_INLINE CK_TARGET void CK_VFN(put_differences)(CK_VFN(differences) d, __m512i k, __m512i classes, __m512i lead,
                                                 uint8_t *symbols, uint16_t *low, uint8_t *ks) {
    __m512i head = _mm512_srlv_epi16(d.g, k), symbol = _mm512_add_epi16(classes, _mm512_and_si512(head, lead));
    symbol = _mm512_sub_epi16(_mm512_add_epi16(symbol, symbol), d.s);
    _mm512_storeu_si512(low, _mm512_xor_si512(d.g, _mm512_sllv_epi16(head, k)));
    _mm256_storeu_si256((__m256i *)ks, _mm512_cvtepi16_epi8(k));
    _mm256_storeu_si256((__m256i *)symbols, _mm512_cvtepi16_epi8(symbol));
}

#endif
