/* The doors of a variant: the width picks the function. Then its table. */

#define CK_WIDTH(name, bits) CK_JOIN(CK_VFN(name), _##bits)

CK_FN void CK_VFN(split)(const uint8_t *src, const uint8_t *base, size_t n, unsigned width, unsigned r, uint8_t *planes,
                         uint8_t *top) {
    if (width == 1) CK_WIDTH(split, 8)(src, base, n, r, planes, top);
    else if (width == 2) CK_WIDTH(split, 16)(src, base, n, r, planes, top);
    else if (width == 4) CK_WIDTH(split, 32)(src, base, n, r, planes, top);
    else if (width == 8) CK_WIDTH(split, 64)(src, base, n, r, planes, top);
}

CK_FN void CK_VFN(merge)(const uint8_t *const *planes, const uint8_t *base, size_t n, unsigned width, unsigned r, uint8_t *dst) {
    if (width == 1) CK_WIDTH(merge, 8)(planes, base, n, r, dst);
    else if (width == 2) CK_WIDTH(merge, 16)(planes, base, n, r, dst);
    else if (width == 4) CK_WIDTH(merge, 32)(planes, base, n, r, dst);
    else if (width == 8) CK_WIDTH(merge, 64)(planes, base, n, r, dst);
}

CK_FN size_t CK_VFN(delta_split)(const uint8_t *src, const uint8_t *base, size_t n, unsigned width, int is_float,
                                 uint8_t *symbols, uint8_t *bits) {
    if (width == 1) return CK_WIDTH(delta_split, 8)(src, base, n, is_float, symbols, bits);
    if (width == 2) return CK_WIDTH(delta_split, 16)(src, base, n, is_float, symbols, bits);
    if (width == 4) return CK_WIDTH(delta_split, 32)(src, base, n, is_float, symbols, bits);
    if (width == 8) return CK_WIDTH(delta_split, 64)(src, base, n, is_float, symbols, bits);
    return CK_FAILED;
}

CK_FN size_t CK_VFN(delta_merge)(const uint8_t *symbols, const uint8_t *bits, size_t n_bits, const uint8_t *base, size_t n,
                                 unsigned width, int is_float, uint8_t *dst) {
    if (width == 1) return CK_WIDTH(delta_merge, 8)(symbols, bits, n_bits, base, n, is_float, dst);
    if (width == 2) return CK_WIDTH(delta_merge, 16)(symbols, bits, n_bits, base, n, is_float, dst);
    if (width == 4) return CK_WIDTH(delta_merge, 32)(symbols, bits, n_bits, base, n, is_float, dst);
    if (width == 8) return CK_WIDTH(delta_merge, 64)(symbols, bits, n_bits, base, n, is_float, dst);
    return CK_FAILED;
}

/* No difference between origins further out: there all differences are in one of the outer classes, with all their bits. */
CK_INLINE int ck_origin_within(int origin) { return ck_clamp(origin, -64, (1 << CK_EXPONENT_BITS) + 128); }

CK_FN size_t CK_VFN(recentred_split)(const uint8_t *src, const uint8_t *base, size_t n, unsigned width, unsigned mantissa,
                                     int origin, uint8_t *symbols, uint8_t *bits) {
    int o = ck_origin_within(origin);
    if (width == 2) return CK_WIDTH(recentred_split, 16)(src, base, n, mantissa, o, symbols, bits);
    if (width == 4) return CK_WIDTH(recentred_split, 32)(src, base, n, mantissa, o, symbols, bits);
    if (width == 8) return CK_WIDTH(recentred_split, 64)(src, base, n, mantissa, o, symbols, bits);
    return CK_FAILED;
}

CK_FN size_t CK_VFN(recentred_merge)(const uint8_t *symbols, const uint8_t *bits, size_t n_bits, const uint8_t *base,
                                     size_t n, unsigned width, unsigned mantissa, int origin, uint8_t *dst) {
    int o = ck_origin_within(origin);
    if (width == 2) return CK_WIDTH(recentred_merge, 16)(symbols, bits, n_bits, base, n, mantissa, o, dst);
    if (width == 4) return CK_WIDTH(recentred_merge, 32)(symbols, bits, n_bits, base, n, mantissa, o, dst);
    if (width == 8) return CK_WIDTH(recentred_merge, 64)(symbols, bits, n_bits, base, n, mantissa, o, dst);
    return CK_FAILED;
}

CK_FN int CK_VFN(recentred_origin)(const uint8_t *src, const uint8_t *base, size_t n, unsigned width, unsigned mantissa,
                                   const uint32_t *x_log_x, ck_tally *work, uint64_t *cost) {
    *cost = 0;
    if (width != 2 && width != 4 && width != 8) return 0;
    size_t n_rows = ((size_t)1 << (8 * width - 1 - mantissa)) + 8 * width;
    memset(work, 0, n_rows * sizeof *work);
    if (width == 2) CK_WIDTH(recentred_tally, 16)(src, base, n, mantissa, work);
    else if (width == 4) CK_WIDTH(recentred_tally, 32)(src, base, n, mantissa, work);
    else CK_WIDTH(recentred_tally, 64)(src, base, n, mantissa, work);
    return ck_best_origin(work, n_rows, n, (int)(8 * width), x_log_x, cost);
}

CK_FN void CK_VFN(scaled)(const uint8_t *src, size_t n, unsigned width, const ck_scale *how, unsigned turned, uint8_t *dst) {
    if (width == 2) CK_WIDTH(scaled, 16)(src, n, how, turned, dst);
    else if (width == 4) CK_WIDTH(scaled, 32)(src, n, how, turned, dst);
}

CK_FN void CK_VFN(word_sums)(const uint8_t *src, const uint8_t *base, size_t n, unsigned width, const ck_scale *how,
                             int64_t *rows, int64_t *columns) {
    if (width == 2) CK_WIDTH(word_sums, 16)(src, base, n, how, rows, columns);
    else if (width == 4) CK_WIDTH(word_sums, 32)(src, base, n, how, rows, columns);
}

CK_FN void CK_VFN(turn)(const uint8_t *src, size_t n, unsigned width, unsigned r, uint8_t *dst) {
    if (width == 2) CK_WIDTH(turn, 16)(src, n, r, dst);
    else if (width == 4) CK_WIDTH(turn, 32)(src, n, r, dst);
}

CK_FN size_t CK_VFN(sparse_split)(const uint8_t *src, size_t n, unsigned width, uint64_t hole, uint8_t *bitmap,
                                       uint8_t *values) {
    if (width == 1) return CK_WIDTH(sparse_split, 8)(src, n, hole, bitmap, values);
    if (width == 2) return CK_WIDTH(sparse_split, 16)(src, n, hole, bitmap, values);
    if (width == 4) return CK_WIDTH(sparse_split, 32)(src, n, hole, bitmap, values);
    if (width == 8) return CK_WIDTH(sparse_split, 64)(src, n, hole, bitmap, values);
    return CK_FAILED;
}

CK_FN size_t CK_VFN(sparse_merge)(const uint8_t *bitmap, const uint8_t *values, size_t count, size_t n, unsigned width,
                                  uint64_t hole, uint8_t *dst) {
    if (width == 1) return CK_WIDTH(sparse_merge, 8)(bitmap, values, count, n, hole, dst);
    if (width == 2) return CK_WIDTH(sparse_merge, 16)(bitmap, values, count, n, hole, dst);
    if (width == 4) return CK_WIDTH(sparse_merge, 32)(bitmap, values, count, n, hole, dst);
    if (width == 8) return CK_WIDTH(sparse_merge, 64)(bitmap, values, count, n, hole, dst);
    return CK_FAILED;
}

const ck_kernels CK_JOIN(ck_kernels_, CK_ISA) = {
    CK_NAME,
    CK_VFN(split),
    CK_VFN(merge),
    CK_VFN(delta_split),
    CK_VFN(delta_merge),
    CK_VFN(recentred_split),
    CK_VFN(recentred_merge),
    CK_VFN(recentred_origin),
    CK_VFN(predict),
    CK_VFN(scaled),
    CK_VFN(word_sums),
    CK_VFN(turn),
    CK_VFN(sparse_split),
    CK_VFN(sparse_merge),
    CK_VFN(round),
    CK_VFN(is_constant),
    CK_VFN(histogram),
    CK_VFN(profile),
    CK_VFN(huffman_encode),
    CK_VFN(huffman_decode),
    CK_VFN(palette_encode),
    CK_VFN(palette_decode),
    CK_VFN(gap_split),
    CK_VFN(gap_merge),
};
