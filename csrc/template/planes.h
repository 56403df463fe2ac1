/* split and merge for one width; included once per width W (in bits), element type U. See ck_kernels.h. */

/* `count` elements from position i. Planes go through local rows, which the compiler knows not to overlap. */
CK_INLINE void CK_WFN(split_block)(const uint8_t *src, const uint8_t *base, size_t n, unsigned r, uint8_t *planes,
                                   uint8_t *top, size_t i, size_t count) {
    uint8_t rows[sizeof(U)][CK_BLOCK];
    for (size_t j = 0; j < count; j++) {
        CK_LOAD(U, x, src + (i + j) * sizeof(U));
        if (base) {
            CK_LOAD(U, b, base + (i + j) * sizeof(U));
            x ^= b;
        }
        x = (U)((U)(x << r) | (U)(x >> ((W - r) % W)));
        for (size_t p = 0; p < sizeof(U); p++) rows[p][j] = (uint8_t)(x >> (8 * p));
    }
    for (size_t p = 0; p + 1 < sizeof(U); p++) memcpy(planes + p * n + i, rows[p], count);
    memcpy(top + i, rows[sizeof(U) - 1], count);
}

CK_FN void CK_WFN(split)(const uint8_t *CK_RESTRICT src, const uint8_t *CK_RESTRICT base, size_t n, unsigned r,
                         uint8_t *CK_RESTRICT planes, uint8_t *CK_RESTRICT top) {
    size_t i = 0;
    if (base) {
        for (; n - i >= CK_BLOCK; i += CK_BLOCK) CK_WFN(split_block)(src, base, n, r, planes, top, i, CK_BLOCK);
    } else {
        for (; n - i >= CK_BLOCK; i += CK_BLOCK) CK_WFN(split_block)(src, NULL, n, r, planes, top, i, CK_BLOCK);
    }
    CK_WFN(split_block)(src, base, n, r, planes, top, i, n - i);
}

CK_INLINE void CK_WFN(merge_block)(const uint8_t *const *planes, const uint8_t *CK_RESTRICT base, unsigned r,
                                   uint8_t *CK_RESTRICT dst, size_t i, size_t count) {
    const uint8_t *rows[sizeof(U)];
    for (size_t p = 0; p < sizeof(U); p++) rows[p] = planes[p] + i;
    for (size_t j = 0; j < count; j++) {
        U x = 0;
        for (size_t p = 0; p < sizeof(U); p++) x = (U)(x | (U)((U)rows[p][j] << (8 * p)));
        x = (U)((U)(x >> r) | (U)(x << ((W - r) % W)));
        if (base) {
            CK_LOAD(U, b, base + (i + j) * sizeof(U));
            x ^= b;
        }
        CK_STORE(dst + (i + j) * sizeof(U), x);
    }
}

CK_FN void CK_WFN(merge)(const uint8_t *const *planes, const uint8_t *CK_RESTRICT base, size_t n, unsigned r,
                         uint8_t *CK_RESTRICT dst) {
    size_t i = 0;
    if (base) {
        for (; n - i >= CK_BLOCK; i += CK_BLOCK) CK_WFN(merge_block)(planes, base, r, dst, i, CK_BLOCK);
    } else {
        for (; n - i >= CK_BLOCK; i += CK_BLOCK) CK_WFN(merge_block)(planes, NULL, r, dst, i, CK_BLOCK);
    }
    CK_WFN(merge_block)(planes, base, r, dst, i, n - i);
}
