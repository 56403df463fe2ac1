/* gap_split and gap_merge: bytes of a stream in which nearly all are one. See ck_kernels.h. */

CK_FN size_t CK_VFN(gap_split)(const uint8_t *CK_RESTRICT src, size_t n, uint8_t hole, size_t most,
                               uint8_t *CK_RESTRICT gaps, uint8_t *CK_RESTRICT values) {
    const uint64_t holes = 0x0101010101010101u * hole;
    size_t count = 0, next = 0;
    for (size_t i = 0; i < n; i += 8) {
        uint64_t word = holes;
        memcpy(&word, src + i, n - i < 8 ? n - i : 8);
        for (uint64_t left = word ^ holes; left;) {
            size_t j = (size_t)__builtin_ctzll(left) / 8;
            uint32_t gap = (uint32_t)(i + j - next);
            if (count == most) return CK_FAILED;
            CK_STORE(gaps + 4 * count, gap);
            values[count++] = src[i + j];
            next = i + j + 1;
            left &= ~(0xffull << (8 * j));
        }
    }
    return count;
}

CK_FN size_t CK_VFN(gap_merge)(const uint8_t *CK_RESTRICT gaps, const uint8_t *CK_RESTRICT values, size_t count, size_t n,
                               uint8_t hole, uint8_t *CK_RESTRICT dst) {
    size_t at = 0;
    memset(dst, hole, n);
    for (size_t k = 0; k < count; k++) {
        CK_LOAD(uint32_t, gap, gaps + 4 * k);
        if (gap >= n - at) return CK_FAILED;
        at += gap;
        dst[at++] = values[k];
    }
    return count;
}
