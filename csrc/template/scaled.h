/* scaled, word_sums and turn for one width; included once per width W of 16 or 32 (in bits), element type U. See
 * ck_kernels.h. A row of the matrix at a time: within one, nothing but the column changes. */

#define CK_NO_SIGN ((U)((U)-1 >> 1))

CK_INLINE uint32_t CK_WFN(steep)(uint32_t slope, U x) {
    return (uint32_t)((uint64_t)slope * (U)(x & CK_NO_SIGN) >> 16);
}

/* `count` elements of one row; above: what the row adds to each of them. */
CK_INLINE void CK_WFN(scaled_part)(const uint8_t *src, size_t count, uint32_t slope, uint32_t above,
                                   const int8_t *columns, unsigned shift, unsigned turned, uint8_t *dst) {
    U row[CK_BLOCK];
    for (size_t j = 0; j < count; j++) {
        uint32_t word = above + ((uint32_t)columns[j] << shift);
        if (src) {
            CK_LOAD(U, x, src + j * sizeof(U));
            word += CK_WFN(steep)(slope, x);
        }
        row[j] = (U)(word << turned);
    }
    memcpy(dst, row, count * sizeof(U));
}

CK_FN void CK_WFN(scaled)(const uint8_t *src, size_t n, const ck_scale *how, unsigned turned, uint8_t *dst) {
    size_t column = how->start, row = 0;
    for (size_t i = 0; i < n;) {
        size_t count = ck_part(how->columns - column, n - i), at = i * sizeof(U);
        uint32_t above = how->origin + ((uint32_t)how->of_rows[row] << how->shift);
        const int8_t *columns = how->of_columns + column;
        if (src) CK_WFN(scaled_part)(src + at, count, how->slope, above, columns, how->shift, turned, dst + at);
        else CK_WFN(scaled_part)(NULL, count, 0, above, columns, how->shift, turned, dst + at);
        i += count;
        column += count;
        row += column == how->columns;
        column = column == how->columns ? 0 : column;
    }
}

CK_INLINE int64_t CK_WFN(sums_part)(const uint8_t *src, const uint8_t *base, size_t count, uint32_t slope,
                                    int64_t *CK_RESTRICT columns) {
    int64_t total = 0;
    int32_t row[CK_BLOCK];
    for (size_t j = 0; j < count; j++) {
        CK_LOAD(U, x, src + j * sizeof(U));
        uint32_t word = x & CK_NO_SIGN;
        if (base) {
            CK_LOAD(U, b, base + j * sizeof(U));
            word -= CK_WFN(steep)(slope, b);
        }
        row[j] = (int32_t)word;
    }
    for (size_t j = 0; j < count; j++) {
        total += row[j];
        columns[j] += row[j];
    }
    return total;
}

CK_FN void CK_WFN(word_sums)(const uint8_t *src, const uint8_t *base, size_t n, const ck_scale *how,
                             int64_t *CK_RESTRICT rows, int64_t *CK_RESTRICT columns) {
    size_t column = how->start, row = 0;
    for (size_t i = 0; i < n;) {
        size_t count = ck_part(how->columns - column, n - i), at = i * sizeof(U);
        if (base) rows[row] += CK_WFN(sums_part)(src + at, base + at, count, how->slope, columns + column);
        else rows[row] += CK_WFN(sums_part)(src + at, NULL, count, 0, columns + column);
        i += count;
        column += count;
        row += column == how->columns;
        column = column == how->columns ? 0 : column;
    }
}

CK_FN void CK_WFN(turn)(const uint8_t *CK_RESTRICT src, size_t n, unsigned r, uint8_t *CK_RESTRICT dst) {
    for (size_t i = 0; i < n; i++) {
        CK_LOAD(U, x, src + i * sizeof(U));
        U y = (U)((U)(x << r) | (U)(x >> (W - r)));
        CK_STORE(dst + i * sizeof(U), y);
    }
}

#undef CK_NO_SIGN
