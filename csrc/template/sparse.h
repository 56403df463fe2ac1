/* sparse_split and sparse_merge for one width; included once per width W (in bits), element type U. See ck_kernels.h. */

CK_FN size_t CK_WFN(sparse_split)(const uint8_t *CK_RESTRICT src, size_t n, uint64_t hole,
                                  uint8_t *CK_RESTRICT bitmap, uint8_t *CK_RESTRICT values) {
    size_t count = 0;
    for (size_t i = 0; i < n; i += 8) {
        unsigned flags = 0;
        for (size_t j = 0; j < (n - i < 8 ? n - i : 8); j++) {
            CK_LOAD(U, x, src + (i + j) * sizeof(U));
            CK_STORE(values + count * sizeof(U), x);
            count += x != (U)hole;
            flags |= (unsigned)(x != (U)hole) << j;
        }
        bitmap[i / 8] = (uint8_t)flags;
    }
    return count;
}

CK_FN size_t CK_WFN(sparse_merge)(const uint8_t *CK_RESTRICT bitmap, const uint8_t *CK_RESTRICT values, size_t count,
                                  size_t n, uint64_t hole, uint8_t *CK_RESTRICT dst) {
    size_t k = 0;
    for (size_t i = 0; i < n; i += 8) {
        size_t m = n - i < 8 ? n - i : 8;
        unsigned flags = bitmap[i / 8];
        size_t set = ck_ones(flags);
        if (flags >> m || set > count - k) return CK_FAILED;
        int roomy = count - k >= 8; /* then reading without asking stays inside `values` */
        for (size_t j = 0; j < m; j++) {
            unsigned flag = flags >> j & 1;
            U x = 0;
            if (roomy || flag) memcpy(&x, values + k * sizeof(U), sizeof x);
            x = flag ? x : (U)hole;
            k += flag;
            CK_STORE(dst + (i + j) * sizeof(U), x);
        }
    }
    return k == count ? count : CK_FAILED;
}
