/* sparse_split and sparse_merge for one width; included once per width W (in bits), element type U. See ck_kernels.h.
 *
 * Eight elements share a byte of the bitmap. All or none of them is the common case in real tensors (rows that are zero
 * or are not) and is a copy; a mixture is done element by element without a branch. */

CK_INLINE size_t CK_WFN(pick)(const uint8_t *src, const uint8_t *keep, size_t m, uint8_t *values, size_t count) {
    for (size_t j = 0; j < m; j++) {
        CK_LOAD(U, x, src + j * sizeof(U));
        CK_STORE(values + count * sizeof(U), x);
        count += keep[j];
    }
    return count;
}

CK_FN size_t CK_WFN(sparse_split)(const uint8_t *CK_RESTRICT src, size_t n, uint64_t hole,
                                  uint8_t *CK_RESTRICT bitmap, uint8_t *CK_RESTRICT values) {
    uint8_t keep[CK_BLOCK];
    size_t count = 0;
    for (size_t i = 0; i < n; i += CK_BLOCK) {
        size_t m = n - i < CK_BLOCK ? n - i : CK_BLOCK;
        const uint8_t *block = src + i * sizeof(U);
        if (m < CK_BLOCK) memset(keep, 0, sizeof keep);
        for (size_t j = 0; j < m; j++) {
            CK_LOAD(U, x, block + j * sizeof(U));
            keep[j] = x != (U)hole;
        }
        for (size_t j = 0; j < m; j += 8) {
            unsigned flags = ck_gather(keep + j);
            bitmap[(i + j) / 8] = (uint8_t)flags;
            if (flags == 0xff) {
                memcpy(values + count * sizeof(U), block + j * sizeof(U), 8 * sizeof(U));
                count += 8;
            } else if (flags) {
                count = CK_WFN(pick)(block + j * sizeof(U), keep + j, m - j < 8 ? m - j : 8, values, count);
            }
        }
    }
    return count;
}

/* Eight elements by the bits of flags. May read 8 values although fewer are used: the caller knows them to be there. */
CK_INLINE void CK_WFN(spread)(unsigned flags, const uint8_t *values, U hole, uint8_t *dst) {
    size_t k = 0;
    for (size_t j = 0; j < 8; j++) {
        unsigned flag = flags >> j & 1;
        CK_LOAD(U, x, values + k * sizeof(U));
        x = (U)(hole ^ ((x ^ hole) & (U)(0 - (U)flag)));
        CK_STORE(dst + j * sizeof(U), x);
        k += flag;
    }
}

CK_FN size_t CK_WFN(sparse_merge)(const uint8_t *CK_RESTRICT bitmap, const uint8_t *CK_RESTRICT values, size_t count,
                                  size_t n, uint64_t hole, uint8_t *CK_RESTRICT dst) {
    uint8_t last[8 * sizeof(U)], holes[8 * sizeof(U)], whole[8 * sizeof(U)];
    size_t k = 0;
    memset(last, 0, sizeof last);
    CK_WFN(spread)(0, last, (U)hole, holes);
    for (size_t i = 0; i < n; i += 8) {
        size_t m = n - i < 8 ? n - i : 8;
        unsigned flags = bitmap[i / 8];
        size_t set = ck_ones(flags);
        const uint8_t *from = values + k * sizeof(U);
        if (flags >> m || set > count - k) return CK_FAILED;
        if (count - k < 8) { /* the last few values: from a copy that may be read to its end */
            memcpy(last, from, (count - k) * sizeof(U));
            from = last;
        }
        if (flags == 0 && m == 8) {
            memcpy(dst + i * sizeof(U), holes, sizeof holes);
        } else if (flags == 0xff) {
            memcpy(dst + i * sizeof(U), from, 8 * sizeof(U));
        } else if (m == 8) {
            CK_WFN(spread)(flags, from, (U)hole, dst + i * sizeof(U));
        } else {
            CK_WFN(spread)(flags, from, (U)hole, whole);
            memcpy(dst + i * sizeof(U), whole, m * sizeof(U));
        }
        k += set;
    }
    return k == count ? count : CK_FAILED;
}
