/* is_constant, histogram and profile: what a chunk looks like before it is coded. See ck_kernels.h. */

CK_FN int CK_VFN(is_constant)(const uint8_t *src, size_t n_bytes, size_t width) {
    /* Equal to itself shifted by one item. The first bytes decide nearly always. */
    return width == 0 || n_bytes <= width || memcmp(src, src + width, n_bytes - width) == 0;
}

CK_FN void CK_VFN(histogram)(const uint8_t *CK_RESTRICT src, size_t n, size_t parts, uint32_t *CK_RESTRICT counts) {
    for (size_t p = 0; p < parts; p++, src += n, counts += 256) {
        uint32_t rows[8][256]; /* eight, so that runs of one byte do not wait for the last store */
        memset(rows, 0, sizeof rows);
        size_t i = 0;
        for (; n - i >= 8; i += 8) {
            CK_LOAD(uint64_t, word, src + i);
            for (size_t j = 0; j < 8; j++) rows[j][word >> (8 * j) & 255]++;
        }
        for (; i < n; i++) rows[0][src[i]]++;
        for (size_t b = 0; b < 256; b++) {
            counts[b] = 0;
            for (size_t j = 0; j < 8; j++) counts[b] += rows[j][b];
        }
    }
}

CK_FN void CK_VFN(profile)(const uint8_t *CK_RESTRICT src, size_t n, size_t parts, const uint32_t *CK_RESTRICT weights,
                           uint32_t *CK_RESTRICT out) {
    for (size_t p = 0; p < parts; p++, src += n, out += CK_PROFILE) {
        uint32_t counts[256], weight = 0, distinct = 0, mode = 0;
        CK_VFN(histogram)(src, n, 1, counts);
        for (uint32_t b = 0; b < 256; b++) {
            weight += weights[counts[b]];
            distinct += counts[b] > 0;
            mode = counts[b] > counts[mode] ? b : mode;
        }
        out[CK_WEIGHT] = weight;
        out[CK_DISTINCT] = distinct;
        out[CK_MODE] = mode;
        out[CK_MODE_COUNT] = counts[mode];
        out[CK_ZEROS] = counts[0];
    }
}
