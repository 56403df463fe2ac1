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

/* Returns the bits of the longest pair; pairs of more than 64 are undefined. */
CK_INLINE unsigned CK_VFN(pair_64)(const uint64_t *CK_RESTRICT words, const uint8_t *CK_RESTRICT widths, size_t n,
                                   uint64_t *CK_RESTRICT pairs, uint8_t *CK_RESTRICT sums) {
    uint8_t most = 0;
    for (size_t j = 0; j < n; j++) {
        CK_LOAD(uint16_t, two, widths + 2 * j);
        sums[j] = (uint8_t)(two + (two >> 8));
    }
    for (size_t j = 0; j < n; j++) most = sums[j] > most ? sums[j] : most;
    for (size_t j = 0; j < n; j++) pairs[j] = words[2 * j] | words[2 * j + 1] << (widths[2 * j] & 63);
    return most;
}

/* Appends words of CK_PUT_MOST bits at most. What is held lies in registers here, where no store can change it. */
CK_INLINE uint8_t *CK_VFN(put_words)(const uint64_t *words, const uint8_t *widths, size_t n, uint8_t *out, uint64_t *acc,
                                     unsigned *fill) {
    uint64_t held = *acc;
    unsigned n_held = *fill;
    for (size_t j = 0; j < n; j++) out = ck_put(out, &held, &n_held, words[j], widths[j]);
    *acc = held;
    *fill = n_held;
    return out;
}

/* The low bits of a block, 28 of an element at most. */
CK_INLINE uint8_t *CK_JOIN(CK_VFN(pack_words), _32)(const uint32_t *low, const uint8_t *k, uint8_t *out, uint64_t *acc,
                                                    unsigned *fill) {
    uint64_t words[CK_BLOCK / 2];
    uint8_t widths[CK_BLOCK / 2];
    CK_VFN(pair_32)(low, k, CK_BLOCK / 2, words, widths);
    return CK_VFN(put_words)(words, widths, CK_BLOCK / 2, out, acc, fill);
}

/* The same, 14 at most. Few elements have nearly as many: where eight neighbours have room they share a word. */
CK_INLINE uint8_t *CK_JOIN(CK_VFN(pack_words), _16)(const uint16_t *low, const uint8_t *k, uint8_t *out, uint64_t *acc,
                                                    unsigned *fill) {
    uint32_t pairs[CK_BLOCK / 2];
    uint64_t words[CK_BLOCK / 4], eights[CK_BLOCK / 8];
    uint8_t widths[CK_BLOCK / 2], sums[CK_BLOCK / 4], of_eight[CK_BLOCK / 8];
    CK_VFN(pair_16)(low, k, CK_BLOCK / 2, pairs, widths);
    CK_VFN(pair_32)(pairs, widths, CK_BLOCK / 4, words, sums);
    if (CK_VFN(pair_64)(words, sums, CK_BLOCK / 8, eights, of_eight) <= CK_PUT_MOST)
        return CK_VFN(put_words)(eights, of_eight, CK_BLOCK / 8, out, acc, fill);
    return CK_VFN(put_words)(words, sums, CK_BLOCK / 4, out, acc, fill);
}
