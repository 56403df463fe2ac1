/* How often each byte of a Huffman block occurs, as far as its code needs to know.
 *
 * Counting every byte takes longer than all the rest of encoding. A code made from a quarter of the bytes costs 0.002 bits
 * a byte more where 30 symbols are live (about (symbols - 1) / (2 n ln 2)), but it must have a code for all of them: so
 * bytes that the sample does not show are looked for in the whole block, which vector units do at memory's speed. Half of
 * the sample is that of the block before where neighbours are alike: it is counted already. */

#define CK_STRETCH 64u /* bytes that are counted in a row */
#define CK_ALIKE 8u    /* counts that differ by so small a part of them are of blocks that are much the same */

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

/* Counts of every `stride`-th stretch from position i on. work: CK_ROW bytes. */
CK_FN void CK_VFN(sampled)(const uint8_t *src, size_t i, size_t n, size_t stride, uint32_t *counts, uint8_t *work) {
    size_t m = 0;
    for (; i + CK_STRETCH <= n; i += CK_STRETCH * stride, m += CK_STRETCH) memcpy(work + m, src + i, CK_STRETCH);
    CK_VFN(histogram)(work, m, 1, counts);
}

/* Counts of a block: of every byte if step is 1, else `step` times those of a sample, and exact ones of the bytes that are
 * not in it. Every byte that occurs has a count. The sample is of each 2 * step stretches the first one, and what the block
 * before had of those if it is much the same, else the middle one too. `before` becomes what this block has of the first
 * ones; zeros if none is before. work: CK_ROW bytes. */
CK_FN void CK_VFN(estimate)(const uint8_t *src, size_t n, size_t step, uint32_t *before, uint32_t *counts, uint8_t *work) {
    uint32_t apart = 0, own = 0;
    if (n < 32 * CK_STRETCH * step) step = 1; /* too few to be judged by a part of them */
    if (step == 1) {
        CK_VFN(histogram)(src, n, 1, counts);
        return;
    }
    CK_VFN(sampled)(src, 0, n, 2 * step, counts, work);
    for (size_t s = 0; s < 256; s++) {
        own += counts[s];
        apart += counts[s] > before[s] ? counts[s] - before[s] : before[s] - counts[s];
    }
    if (apart > own / CK_ALIKE) CK_VFN(sampled)(src, CK_STRETCH * step, n, 2 * step, before, work);
    for (size_t s = 0; s < 256; s++) {
        uint32_t all = (counts[s] + before[s]) * (uint32_t)step;
        before[s] = counts[s];
        counts[s] = all;
    }
    CK_VFN(count_missing)(src, n, counts);
}
