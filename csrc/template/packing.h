/* pack, for delta.h: the low bits of one block of elements to the bit stream.
 *
 * Neighbours are joined to 64-bit words first, which vectorises: an array of elements is read as one of elements twice as
 * wide, whose halves are two neighbours. Only these words go through the stream one after the other. */

#if W == 16
/* words[j]: low bits of elements 4j .. 4j + 3; widths[j]: how many they are. */
CK_INLINE void CK_WFN(join_words)(const CK_WFN(delta_rows) *rows, size_t count, uint64_t *words, uint8_t *widths) {
    uint32_t pairs[CK_BLOCK / 2];
    uint8_t sums[CK_BLOCK / 2];
    for (size_t j = 0; j < count / 2; j++) {
        CK_LOAD(uint32_t, two, (const uint8_t *)rows->low + 4 * j);
        CK_LOAD(uint16_t, k, rows->k + 2 * j);
        pairs[j] = (two & 0xffff) | (two >> 16) << (k & 31);
        sums[j] = (uint8_t)(k + (k >> 8));
    }
    for (size_t j = 0; j < count / 4; j++) {
        CK_LOAD(uint64_t, two, (const uint8_t *)pairs + 8 * j);
        CK_LOAD(uint16_t, k, sums + 2 * j);
        words[j] = (two & 0xffffffff) | (two >> 32) << (k & 63);
        widths[j] = (uint8_t)(k + (k >> 8));
    }
}
#elif W == 32
/* words[j]: low bits of elements 2j and 2j + 1; widths[j]: how many they are. */
CK_INLINE void CK_WFN(join_words)(const CK_WFN(delta_rows) *rows, size_t count, uint64_t *words, uint8_t *widths) {
    for (size_t j = 0; j < count / 2; j++) {
        CK_LOAD(uint64_t, two, (const uint8_t *)rows->low + 8 * j);
        CK_LOAD(uint16_t, k, rows->k + 2 * j);
        words[j] = (two & 0xffffffff) | (two >> 32) << (k & 63);
        widths[j] = (uint8_t)(k + (k >> 8));
    }
}
#endif

/* Elements behind the count-th have no low bits. */
CK_INLINE uint8_t *CK_WFN(pack)(const CK_WFN(delta_rows) *rows, size_t count, uint8_t *out, uint64_t *acc,
                                unsigned *fill) {
#if W == 64
    for (size_t j = 0; j < count; j++) {
        unsigned k = rows->k[j], first = k < 32 ? k : 32;
        out = ck_put(out, acc, fill, rows->low[j] & (((uint64_t)1 << first) - 1), first);
        out = ck_put(out, acc, fill, rows->low[j] >> first, k - first);
    }
#elif W > 8
    uint64_t words[CK_BLOCK / CK_GROUP];
    uint8_t widths[CK_BLOCK / CK_GROUP];
    CK_WFN(join_words)(rows, CK_BLOCK, words, widths);
    for (size_t j = 0; j < (count + CK_GROUP - 1) / CK_GROUP; j++) out = ck_put(out, acc, fill, words[j], widths[j]);
#else
    (void)rows, (void)count, (void)acc, (void)fill;
#endif
    return out;
}
