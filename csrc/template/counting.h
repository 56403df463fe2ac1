/* How often each byte of a Huffman block occurs, as far as its code needs to know.
 *
 * Counting every byte takes longer than all the rest of encoding. A code made from a quarter of the bytes costs 0.002 bits
 * a byte more where 30 symbols are live (about (symbols - 1) / (2 n ln 2)), but it must have a code for all of them: so
 * bytes that the sample does not show are looked for in the whole block, which vector units do at memory's speed. */

#define CK_STRETCH 64u /* bytes that are counted in a row */

/* Adds to counts every byte of src that has none yet. */
CK_FN void CK_VFN(count_missing)(const uint8_t *src, size_t n, uint32_t *counts) {
    uint8_t known[256];
    for (size_t s = 0; s < 256; s++) known[s] = counts[s] ? 0xff : 0;
#if defined(CK_VBMI2)
    const CK_VFN(lookup) table = CK_VFN(load_lookup)(known);
    for (size_t i = 0; i < n; i += 64) {
        uint64_t here = n - i < 64 ? (1ull << (n - i)) - 1 : ~0ull;
        __m512i x = _mm512_maskz_loadu_epi8(here, src + i);
        for (uint64_t m = ~_mm512_movepi8_mask(CK_VFN(look_up)(&table, x)) & here; m; m &= m - 1)
            counts[src[i + (size_t)__builtin_ctzll(m)]]++;
    }
#else
    for (size_t i = 0; i < n; i += CK_BLOCK) {
        uint8_t flags[CK_BLOCK], all = 0xff;
        size_t m = n - i < CK_BLOCK ? n - i : CK_BLOCK;
        CK_VFN(translate)(src + i, m, known, flags);
        for (size_t j = 0; j < m; j++) all &= flags[j];
        for (size_t j = 0; !all && j < m; j++) counts[src[i + j]] += !flags[j];
    }
#endif
}

/* Counts of a block: of every byte if step is 1, else `step` times those of each step-th stretch, and exact ones of the
 * bytes that no such stretch holds. Every byte that occurs has a count. work: CK_ROW bytes. */
CK_FN void CK_VFN(estimate)(const uint8_t *src, size_t n, size_t step, uint32_t *counts, uint8_t *work) {
    size_t m = 0;
    if (n < 32 * CK_STRETCH * step) step = 1; /* too few to be judged by a part of them */
    if (step == 1) {
        CK_VFN(histogram)(src, n, 1, counts);
        return;
    }
    for (size_t i = 0; n - i >= CK_STRETCH; m += CK_STRETCH) {
        memcpy(work + m, src + i, CK_STRETCH);
        i = n - i > CK_STRETCH * step ? i + CK_STRETCH * step : n;
    }
    CK_VFN(histogram)(work, m, 1, counts);
    for (size_t s = 0; s < 256; s++) counts[s] *= (uint32_t)step;
    CK_VFN(count_missing)(src, n, counts);
}
