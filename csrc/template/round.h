/* round: floats to a narrower kind, in integer arithmetic. See ck_kernels.h. */

/* x, a float of `se` exponent and `sm` mantissa bits, as one of fewer: `de` and `dm`. NaN keeps sign and top payload. */
CK_INLINE uint64_t ck_narrow(uint64_t x, unsigned se, unsigned sm, unsigned de, unsigned dm) {
    const uint64_t one = 1, inf = ((one << se) - 1) << sm, dst_inf = ((one << de) - 1) << dm;
    const int64_t rebias = (int64_t)((one << (se - 1)) - (one << (de - 1)));
    uint64_t sign = x >> (se + sm) << (de + dm), a = x & ((one << (se + sm)) - 1);
    if (a > inf) return sign | dst_inf | one << (dm - 1) | (a & ((one << sm) - 1)) >> (sm - dm);
    int64_t exponent = (int64_t)(a >> sm) - rebias;
    uint64_t mantissa = a & ((one << sm) - 1), kept = ((uint64_t)exponent << sm) | mantissa;
    unsigned drop = sm - dm;
    if (exponent >= (int64_t)(one << de) - 1) return sign | dst_inf;
    if (exponent <= 0) { /* subnormal in the narrower kind */
        if (exponent < -(int64_t)dm) return sign;
        drop += (unsigned)(1 - exponent);
        kept = mantissa | one << sm;
    }
    return sign | (kept + (one << (drop - 1)) - 1 + (kept >> drop & 1)) >> drop;
}

CK_FN void CK_VFN(round)(const uint8_t *CK_RESTRICT src, size_t n, unsigned kind, uint8_t *CK_RESTRICT dst) {
    if (kind == CK_F32_BF16) {
        for (size_t i = 0; i < n; i++) {
            CK_LOAD(uint32_t, x, src + 4 * i);
            uint32_t rounded = (x + 0x7fffu + (x >> 16 & 1)) >> 16;
            uint16_t y = (uint16_t)((x & 0x7fffffffu) > 0x7f800000u ? 0xffffu : rounded);
            CK_STORE(dst + 2 * i, y);
        }
    } else if (kind == CK_F32_F16) {
        for (size_t i = 0; i < n; i++) {
            CK_LOAD(uint32_t, x, src + 4 * i);
            uint16_t y = (uint16_t)ck_narrow(x, 8, 23, 5, 10);
            CK_STORE(dst + 2 * i, y);
        }
    } else if (kind == CK_F64_F32) {
        for (size_t i = 0; i < n; i++) {
            CK_LOAD(uint64_t, x, src + 8 * i);
            uint32_t y = (uint32_t)ck_narrow(x, 11, 52, 8, 23);
            CK_STORE(dst + 4 * i, y);
        }
    }
}
