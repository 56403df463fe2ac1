/* The low bits of a block of elements as 64-bit words, each of as many neighbours as have room: two of 32 bits, four of 16.
 * It pays where lanes shift by different counts, which CK_LANE_SHIFTS says. */

/* Neighbours become one of twice the bits: those of the lower one, then the other's. n: of the results. */
CK_INLINE void CK_VFN(pair_16)(const uint16_t *CK_RESTRICT low, const uint8_t *CK_RESTRICT k, size_t n,
                               uint32_t *CK_RESTRICT pairs, uint8_t *CK_RESTRICT widths) {
    for (size_t j = 0; j < n; j++) {
        CK_LOAD(uint32_t, two, low + 2 * j);
        CK_LOAD(uint16_t, ks, k + 2 * j);
        pairs[j] = (two & 0xffffu) | two >> 16 << (ks & 31);
        widths[j] = (uint8_t)(ks + (ks >> 8));
    }
}

CK_INLINE void CK_VFN(pair_32)(const uint32_t *CK_RESTRICT low, const uint8_t *CK_RESTRICT k, size_t n,
                               uint64_t *CK_RESTRICT pairs, uint8_t *CK_RESTRICT widths) {
    for (size_t j = 0; j < n; j++) {
        CK_LOAD(uint64_t, two, low + 2 * j);
        CK_LOAD(uint16_t, ks, k + 2 * j);
        pairs[j] = (two & 0xffffffffu) | two >> 32 << (ks & 63);
        widths[j] = (uint8_t)(ks + (ks >> 8));
    }
}

/* Appends words of CK_PUT_MOST bits at most. */
CK_INLINE uint8_t *CK_VFN(put_words)(const uint64_t *words, const uint8_t *widths, size_t n, uint8_t *out, uint64_t *acc,
                                     unsigned *fill) {
    for (size_t j = 0; j < n; j++) out = ck_put(out, acc, fill, words[j], widths[j]);
    return out;
}

CK_INLINE uint8_t *CK_VFN(pack_words_32)(const uint32_t *low, const uint8_t *k, size_t n, uint8_t *out, uint64_t *acc,
                                         unsigned *fill) {
    uint64_t words[CK_BLOCK / 2];
    uint8_t widths[CK_BLOCK / 2];
    CK_VFN(pair_32)(low, k, n / 2, words, widths);
    return CK_VFN(put_words)(words, widths, n / 2, out, acc, fill);
}

CK_INLINE uint8_t *CK_VFN(pack_words_16)(const uint16_t *low, const uint8_t *k, size_t n, uint8_t *out, uint64_t *acc,
                                         unsigned *fill) {
    uint32_t pairs[CK_BLOCK / 2];
    uint8_t widths[CK_BLOCK / 2];
    CK_VFN(pair_16)(low, k, n / 2, pairs, widths);
    return CK_VFN(pack_words_32)(pairs, widths, n / 2, out, acc, fill);
}
