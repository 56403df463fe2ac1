/* predict: what an optimiser's step would make of the bases. See ck_kernels.h.
 *
 * A block of each base is widened to a row of binary32, the rows are combined, and the result is narrowed. All bit
 * patterns that are compared are compared as integers, so that every loop vectorises. */

typedef struct {
    float base[CK_BASES_MOST][CK_BLOCK];
    float result[CK_BLOCK];
} CK_VFN(predict_rows);

CK_INLINE uint32_t ck_bits(float x) {
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

CK_INLINE float ck_float(uint32_t bits) {
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

CK_INLINE uint32_t ck_widen_half(uint32_t h) {
    uint32_t low = h & 0x7fffu, sign = (h & 0x8000u) << 16;
    uint32_t larger = (low << 13) + (112u << 23) + (low >= 0x7c00u ? 112u << 23 : 0);
    /* With the lowest exponent it is an integer of units of 2^-24: converted, and scaled by its exponent, unless zero.
     * Chosen by masks, since compilers take a conversion for something that must not be done in vain. */
    uint32_t units = ck_bits((float)(int32_t)low) - (24u << 23), is_tiny = 0u - (low < 0x400u), some = 0u - (low != 0);
    return sign | (units & some & is_tiny) | (larger & ~is_tiny);
}

/* bits: of a number or an infinity; else the result does not matter. */
CK_INLINE uint32_t ck_narrow_half(uint32_t bits) {
    uint32_t x = bits & 0x7fffffffu, sign = bits >> 16 & 0x8000u;
    uint32_t normal = (x - (112u << 23) + 0xfffu + (x >> 13 & 1)) >> 13, larger = x >= 0x47800000u ? 0x7c00u : normal;
    /* Below 2^-14 in units of 2^-24: the mantissa without the bits that are less. Of 25 bits or more nothing is left. */
    uint32_t mantissa = (x & 0x7fffffu) | 0x800000u, below = 126u - (x >> 23), drop = below > 25u ? 25u : below;
    uint32_t tiny = (mantissa + (1u << ((drop - 1) & 31)) - 1 + (mantissa >> drop & 1)) >> drop;
    return sign | (x < 0x38800000u ? tiny : larger);
}

CK_INLINE void CK_VFN(widen_as)(const uint8_t *CK_RESTRICT src, size_t n, unsigned dtype, float *CK_RESTRICT row) {
    for (size_t j = 0; j < n; j++) {
        CK_LOAD(uint16_t, x, src + 2 * j);
        row[j] = ck_float(dtype == CK_BF16 ? (uint32_t)x << 16 : ck_widen_half(x));
    }
}

CK_INLINE void CK_VFN(widen)(const uint8_t *src, size_t n, unsigned dtype, float *row) {
    if (dtype == CK_F32) memcpy(row, src, n * sizeof *row);
    else if (dtype == CK_BF16) CK_VFN(widen_as)(src, n, CK_BF16, row);
    else CK_VFN(widen_as)(src, n, CK_F16, row);
}

CK_INLINE void CK_VFN(narrow_single)(const float *CK_RESTRICT row, size_t n, uint8_t *CK_RESTRICT dst) {
    for (size_t j = 0; j < n; j++) {
        uint32_t x = ck_bits(row[j]), y = (x & 0x7fffffffu) > 0x7f800000u ? 0x7fc00000u : x;
        CK_STORE(dst + 4 * j, y);
    }
}

CK_INLINE void CK_VFN(narrow_as)(const float *CK_RESTRICT row, size_t n, unsigned dtype, uint8_t *CK_RESTRICT dst) {
    for (size_t j = 0; j < n; j++) {
        uint32_t x = ck_bits(row[j]), rounded, quiet = dtype == CK_BF16 ? 0x7fc0u : 0x7e00u;
        rounded = dtype == CK_BF16 ? (x + 0x7fffu + (x >> 16 & 1)) >> 16 : ck_narrow_half(x);
        uint16_t y = (uint16_t)((x & 0x7fffffffu) > 0x7f800000u ? quiet : rounded);
        CK_STORE(dst + 2 * j, y);
    }
}

CK_INLINE void CK_VFN(narrow)(const float *row, size_t n, unsigned dtype, uint8_t *dst) {
    if (dtype == CK_F32) CK_VFN(narrow_single)(row, n, dst);
    else if (dtype == CK_BF16) CK_VFN(narrow_as)(row, n, CK_BF16, dst);
    else CK_VFN(narrow_as)(row, n, CK_F16, dst);
}

CK_INLINE void CK_VFN(linear)(const ck_prediction *how, CK_VFN(predict_rows) *rows) {
    const float *c = how->coefficients;
    for (size_t j = 0; j < CK_BLOCK; j++) rows->result[j] = c[0] * rows->base[0][j];
    for (unsigned i = 1; i < how->n_bases; i++) {
        float by = c[i];
        for (size_t j = 0; j < CK_BLOCK; j++) rows->result[j] += by * rows->base[i][j];
    }
}

CK_INLINE void CK_VFN(adam)(const ck_prediction *how, CK_VFN(predict_rows) *rows) {
    const float *c = how->coefficients, decay = c[0], step = c[1], step_before = c[2], root = c[3], eps = c[4];
    const float *w = rows->base[0], *m = rows->base[1], *v = rows->base[2], *m_before = rows->base[3];
    for (size_t j = 0; j < CK_BLOCK; j++) {
        float q = step * m[j];
        if (how->n_bases == 4) q += step_before * m_before[j];
        rows->result[j] = decay * w[j] + q / (__builtin_sqrtf(v[j]) / root + eps);
    }
}

CK_INLINE void CK_VFN(second)(const ck_prediction *how, CK_VFN(predict_rows) *rows) {
    const float *c = how->coefficients, beta = c[0], gain = c[1], inner = c[2];
    const float *v = rows->base[0], *m = rows->base[1], *m_before = rows->base[2];
    for (size_t j = 0; j < CK_BLOCK; j++) {
        float g = (m[j] - m_before[j]) / inner + m_before[j];
        rows->result[j] = beta * v[j] + gain * (g * g);
    }
}

/* The first base where m and m' are the same. */
CK_INLINE void CK_VFN(mask)(const float *m, const float *m_before, CK_VFN(predict_rows) *rows) {
    for (size_t j = 0; j < CK_BLOCK; j++) {
        uint32_t kept = ck_bits(rows->base[0][j]), moved = ck_bits(rows->result[j]);
        rows->result[j] = ck_float(ck_bits(m[j]) == ck_bits(m_before[j]) ? kept : moved);
    }
}

/* Not inlined: between the two changes of mode nothing may move. */
__attribute__((noinline)) CK_FN void CK_VFN(predict_blocks)(const ck_prediction *how, size_t n, uint8_t *dst) {
    CK_VFN(predict_rows) rows;
    unsigned size = how->out_dtype == CK_F32 ? 4 : 2;
    memset(&rows, 0, sizeof rows);
    for (size_t i = 0; i < n; i += CK_BLOCK) {
        size_t count = n - i < CK_BLOCK ? n - i : CK_BLOCK;
        for (unsigned b = 0; b < how->n_bases; b++)
            CK_VFN(widen)(how->bases[b] + i * (how->dtypes[b] == CK_F32 ? 4 : 2), count, how->dtypes[b], rows.base[b]);
        if (how->kind == CK_LINEAR) CK_VFN(linear)(how, &rows);
        else if (how->kind == CK_ADAM) CK_VFN(adam)(how, &rows);
        else CK_VFN(second)(how, &rows);
        if (how->masked) CK_VFN(mask)(rows.base[1], rows.base[how->n_bases - 1], &rows);
        CK_VFN(narrow)(rows.result, count, how->out_dtype, dst + i * size);
    }
}

CK_INLINE int CK_VFN(predictable)(const ck_prediction *how) {
    unsigned n = how->n_bases, most = how->kind == CK_SECOND ? 3 : CK_BASES_MOST, least = how->kind == CK_LINEAR ? 1 : 3;
    if (how->kind < CK_LINEAR || how->kind > CK_SECOND || n < least || n > most || how->out_dtype >= CK_DTYPES) return 0;
    for (unsigned b = 0; b < n; b++)
        if (how->dtypes[b] >= CK_DTYPES) return 0;
    return !how->masked || how->kind == CK_SECOND || (how->kind == CK_ADAM && n == 4);
}

CK_FN void CK_VFN(predict)(const ck_prediction *how, size_t n, uint8_t *dst) {
    if (!CK_VFN(predictable)(how)) return;
    ck_prediction normal = *how;
    for (unsigned i = 0; i < CK_COEFFICIENTS_MOST; i++) {
        uint32_t x = ck_bits(how->coefficients[i]);
        normal.coefficients[i] = ck_float(x & 0x7f800000u ? x : x & 0x80000000u);
    }
    ck_float_mode mode = ck_get_mode();
    ck_set_mode(CK_DEFAULT_MODE);
    CK_VFN(predict_blocks)(&normal, n, dst);
    ck_set_mode(mode);
}
