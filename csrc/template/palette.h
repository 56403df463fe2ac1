/* palette_encode and palette_decode. See ck_kernels.h for the format. Blocks of 256 symbols go through local rows. */

#define CK_SAMPLED 64u /* stretches that the palette is chosen from */
#define CK_ESCAPE (CK_PALETTE_SYMBOLS)

/* The most frequent symbols of some 4,096, most frequent first, lowest first among equals; zeros if there are fewer. */
CK_FN void CK_VFN(choose_palette)(const uint8_t *src, size_t n, uint8_t *palette) {
    uint8_t some[CK_SAMPLED * CK_STRETCH];
    uint32_t counts[256], held[CK_PALETTE_SYMBOLS + 1] = {0};
    size_t stride = n / CK_SAMPLED > CK_STRETCH ? n / CK_SAMPLED : CK_STRETCH, m = 0;
    for (size_t i = 0; i < n && m + CK_STRETCH <= sizeof some; i += stride) {
        size_t few = n - i < CK_STRETCH ? n - i : CK_STRETCH;
        memcpy(some + m, src + i, few);
        m += few;
    }
    CK_VFN(histogram)(some, m, 1, counts);
    memset(palette, 0, CK_PALETTE_SYMBOLS);
    for (unsigned s = 0; s < 256; s++) {
        if (counts[s] <= held[CK_PALETTE_SYMBOLS - 1]) continue;
        unsigned at = CK_PALETTE_SYMBOLS - 1;
        for (; at > 0 && counts[s] > held[at - 1]; at--) held[at] = held[at - 1], palette[at] = palette[at - 1];
        held[at] = counts[s];
        palette[at] = (uint8_t)s;
    }
}

/* The symbols of one block whose flag is 0, one behind the other. Returns how many, or `room` + 1 if they are more. */
CK_INLINE size_t CK_VFN(take_escapes)(const uint8_t *src, const uint8_t *flags, size_t n, uint8_t *to, size_t room) {
    size_t count = 0;
    for (size_t j = 0; j < n; j += 8) {
        CK_LOAD(uint64_t, word, flags + j);
        if (!((word - 0x0101010101010101u) & ~word & 0x8080808080808080u)) continue;
        for (size_t i = j; i < j + 8 && i < n; i++) {
            if (flags[i]) continue;
            if (count == room) return room + 1;
            to[count++] = src[i];
        }
    }
    return count;
}

/* The row of one block's numbers, complemented so that bytes outside the palette get 0, and two of them to a byte. Returns
 * whether there is such a byte. Symbols behind the m-th get the complement of 0. */
CK_INLINE CK_TARGET int CK_VFN(number)(const uint8_t *src, size_t m, const uint8_t *table, uint8_t *row, uint8_t *pairs) {
#if defined(CK_VBMI2)
    if (m == CK_BLOCK) {
        const CK_VFN(lookup) in = CK_VFN(load_lookup)(table);
        const __m512i fifteen = _mm512_set1_epi8(CK_ESCAPE), places = _mm512_set1_epi16(0x1001);
        uint64_t outside = 0;
        for (size_t j = 0; j < CK_BLOCK; j += 64) {
            __m512i y = CK_VFN(look_up)(&in, _mm512_loadu_si512(src + j));
            outside |= _mm512_testn_epi8_mask(y, y);
            _mm512_storeu_si512(row + j, y);
            __m512i two = _mm512_maddubs_epi16(_mm512_sub_epi8(fifteen, y), places);
            _mm256_storeu_si256((__m256i *)(pairs + j / 2), _mm512_cvtepi16_epi8(two));
        }
        return outside != 0;
    }
#endif
    uint8_t least = CK_ESCAPE;
    if (m < CK_BLOCK) memset(row, CK_ESCAPE, CK_BLOCK);
    CK_VFN(translate)(src, m, table, row);
    for (size_t j = 0; j < CK_BLOCK; j++) least = row[j] < least ? row[j] : least;
    for (size_t j = 0; j < CK_BLOCK / 2; j++) pairs[j] = (uint8_t)~(row[2 * j] | row[2 * j + 1] << 4);
    return least == 0;
}

CK_FN size_t CK_VFN(palette_encode)(const uint8_t *src, size_t n, uint8_t *out) {
    uint8_t table[256] = {0}, row[CK_BLOCK], pairs[CK_BLOCK / 2];
    size_t head = CK_PALETTE_SYMBOLS + (n + 1) / 2, escapes = 0;
    if (head > n) return CK_FAILED;
    CK_VFN(choose_palette)(src, n, out);
    for (unsigned k = CK_PALETTE_SYMBOLS; k-- > 0;) table[out[k]] = (uint8_t)(CK_ESCAPE - k);
    for (size_t i = 0; i < n; i += CK_BLOCK) {
        size_t m = n - i < CK_BLOCK ? n - i : CK_BLOCK;
        int outside = CK_VFN(number)(src + i, m, table, row, pairs);
        memcpy(out + CK_PALETTE_SYMBOLS + i / 2, pairs, (m + 1) / 2);
        if (outside) escapes += CK_VFN(take_escapes)(src + i, row, m, out + head + escapes, n - head - escapes);
        if (escapes > n - head) return CK_FAILED;
    }
    return head + escapes;
}

/* Puts escapes where the row of numbers asks for them. Returns how many, or `room` + 1 if they are more. */
CK_INLINE size_t CK_VFN(put_escapes)(const uint8_t *row, size_t n, const uint8_t *from, size_t room, uint8_t *dst) {
    size_t count = 0;
    for (size_t j = 0; j < n; j += 8) {
        CK_LOAD(uint64_t, word, row + j);
        if (!((word + 0x0101010101010101u) & 0x1010101010101010u)) continue;
        for (size_t i = j; i < j + 8 && i < n; i++) {
            if (row[i] != CK_ESCAPE) continue;
            if (count == room) return room + 1;
            dst[i] = from[count++];
        }
    }
    return count;
}

CK_FN size_t CK_VFN(palette_decode)(const uint8_t *in, size_t n_in, uint8_t *dst, size_t n) {
    uint8_t table[256] = {0}, row[CK_BLOCK], pairs[CK_BLOCK / 2];
    size_t head = CK_PALETTE_SYMBOLS + (n + 1) / 2, escapes = 0;
    if (n_in < head) return CK_FAILED;
    memcpy(table, in, CK_PALETTE_SYMBOLS);
    for (size_t i = 0; i < n; i += CK_BLOCK) {
        size_t m = n - i < CK_BLOCK ? n - i : CK_BLOCK;
        uint8_t most = 0;
        if (m < CK_BLOCK) memset(pairs, 0, sizeof pairs);
        memcpy(pairs, in + CK_PALETTE_SYMBOLS + i / 2, (m + 1) / 2);
        for (size_t j = 0; j < CK_BLOCK / 2; j++) {
            row[2 * j] = pairs[j] & 15;
            row[2 * j + 1] = pairs[j] >> 4;
        }
        if (m & 1 && row[m]) return CK_FAILED; /* the spare half of the last byte */
        for (size_t j = 0; j < CK_BLOCK; j++) most = row[j] > most ? row[j] : most;
        CK_VFN(translate)(row, m, table, dst + i);
        if (most == CK_ESCAPE) escapes += CK_VFN(put_escapes)(row, m, in + head + escapes, n_in - head - escapes, dst + i);
        if (escapes > n_in - head) return CK_FAILED;
    }
    return escapes == n_in - head ? n_in : CK_FAILED;
}
