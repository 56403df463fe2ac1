/* What huffman.h does to the symbols of one node, in three ways: AVX-512 with VBMI2, byte shuffles, plain C.
 *
 *   mark(src, n, pivot, bitmap)                     bit i of bitmap = src[i] >= pivot; returns how many are set
 *   part(src, n, bitmap, low, n_low, high)          low, high: those of src without and with their bit, in order, where
 *                                                   they are asked for (not NULL); n_low: how many are without
 *   join(bitmap, n, low, l, high, h, dst)           the inverse; a NULL side is all l, or all h. May read 64 bytes behind
 *                                                   low and high.
 *   ones(bits, n)                                   bits set in n bytes
 */

CK_FN size_t CK_VFN(ones)(const uint8_t *bits, size_t n) {
    size_t total = 0, i = 0;
#ifdef CK_POPCOUNT
    for (; n - i >= 8; i += 8) {
        CK_LOAD(uint64_t, word, bits + i);
        total += (size_t)__builtin_popcountll(word);
    }
#endif
    for (; i < n; i++) total += ck_ones(bits[i]);
    return total;
}

/* Eight symbols, the first n of which count: no branch depends on one. Both sides are written, and one byte more: to `low`
 * or `high` only if asked for. */
CK_INLINE void CK_VFN(part_eight)(const uint8_t *src, size_t n, unsigned flags, uint8_t *low, uint8_t *high) {
    size_t n_high = 0;
    for (size_t j = 0; j < n; j++) {
        if (low) low[j - n_high] = src[j];
        if (high) high[n_high] = src[j];
        n_high += flags >> j & 1;
    }
}

/* The symbols from the i-th on, eight by eight. Where one more byte than its own would not fit a side, by way of a copy. */
CK_INLINE void CK_VFN(part_rest)(const uint8_t *src, size_t i, size_t n, const uint8_t *bitmap, uint8_t *low,
                                 const uint8_t *low_end, uint8_t *high, const uint8_t *high_end) {
    uint8_t few[2][8];
    for (; i < n; i += 8) {
        size_t m = n - i < 8 ? n - i : 8, n_high = ck_ones(bitmap[i / 8]);
        int roomy = (!low || low_end - low > 8) && (!high || high_end - high > 8);
        uint8_t *to_low = roomy || !low ? low : few[0], *to_high = roomy || !high ? high : few[1];
        CK_VFN(part_eight)(src + i, m, bitmap[i / 8], to_low, to_high);
        if (!roomy && low) memcpy(low, few[0], m - n_high);
        if (!roomy && high) memcpy(high, few[1], n_high);
        low += low ? m - n_high : 0;
        high += high ? n_high : 0;
    }
}

CK_INLINE size_t CK_VFN(mark_rest)(const uint8_t *src, size_t i, size_t n, uint8_t pivot, uint8_t *bitmap) {
    size_t n_right = 0;
    for (; i < n; i += 8) {
        uint8_t right[8] = {0};
        for (size_t j = 0; j < 8 && j < n - i; j++) right[j] = src[i + j] >= pivot;
        bitmap[i / 8] = (uint8_t)ck_gather(right);
        n_right += ck_ones(bitmap[i / 8]);
    }
    return n_right;
}

CK_INLINE void CK_VFN(join_rest)(const uint8_t *bitmap, size_t i, size_t n, const uint8_t *low, uint8_t l,
                                 const uint8_t *high, uint8_t h, uint8_t *dst) {
    const size_t all_low = low ? SIZE_MAX : 0, all_high = high ? SIZE_MAX : 0;
    const uint8_t *zeros = low ? low : &l, *ones = high ? high : &h;
    size_t n_high = 0;
    for (size_t start = i; i < n; i++) {
        unsigned right = bitmap[i / 8] >> (i & 7) & 1;
        uint8_t zero = zeros[(i - start - n_high) & all_low], one = ones[n_high & all_high];
        dst[i] = (uint8_t)(zero ^ ((zero ^ one) & (0 - right)));
        n_high += right;
    }
}

#if defined(CK_VBMI2)

CK_FN size_t CK_VFN(mark)(const uint8_t *src, size_t n, uint8_t pivot, uint8_t *bitmap) {
    const __m512i at = _mm512_set1_epi8((char)pivot);
    size_t n_right = 0, i = 0;
    for (; n - i >= 64; i += 64) {
        uint64_t right = _mm512_cmpge_epu8_mask(_mm512_loadu_si512(src + i), at);
        memcpy(bitmap + i / 8, &right, 8);
        n_right += (size_t)__builtin_popcountll(right);
    }
    if (i < n) {
        uint64_t here = (1ull << (n - i)) - 1;
        uint64_t right = _mm512_mask_cmpge_epu8_mask(here, _mm512_maskz_loadu_epi8(here, src + i), at);
        memcpy(bitmap + i / 8, &right, (n - i + 7) / 8);
        n_right += (size_t)__builtin_popcountll(right);
    }
    return n_right;
}

/* The bits of up to 64 symbols. */
CK_INLINE uint64_t CK_VFN(bits_at)(const uint8_t *bitmap, size_t n) {
    uint64_t bits = 0;
    memcpy(&bits, bitmap, (n + 7) / 8);
    return bits;
}

CK_FN void CK_VFN(part)(const uint8_t *src, size_t n, const uint8_t *bitmap, uint8_t *low, size_t n_low, uint8_t *high) {
    const uint8_t *low_end = low ? low + n_low : NULL, *high_end = high ? high + (n - n_low) : NULL;
    size_t i = 0;
    /* Compressed in a register and stored whole, while there is room: to memory, vpcompressb is microcoded on some machines. */
    for (; n - i >= 64 && (!low || low_end - low >= 64) && (!high || high_end - high >= 64); i += 64) {
        CK_LOAD(uint64_t, right, bitmap + i / 8);
        __m512i x = _mm512_loadu_si512(src + i);
        size_t n_right = (size_t)__builtin_popcountll(right);
        if (low) _mm512_storeu_si512(low, _mm512_maskz_compress_epi8(~right, x)), low += 64 - n_right;
        if (high) _mm512_storeu_si512(high, _mm512_maskz_compress_epi8(right, x)), high += n_right;
    }
    for (; i < n; i += 64) {
        size_t m = n - i < 64 ? n - i : 64;
        uint64_t right = CK_VFN(bits_at)(bitmap + i / 8, m), here = ~0ull >> (64 - m);
        __m512i x = _mm512_maskz_loadu_epi8(here, src + i);
        size_t n_right = (size_t)__builtin_popcountll(right), n_left = m - n_right;
        uint64_t lows = n_left ? ~0ull >> (64 - n_left) : 0, highs = n_right ? ~0ull >> (64 - n_right) : 0;
        if (low) _mm512_mask_storeu_epi8(low, lows, _mm512_maskz_compress_epi8(~right & here, x)), low += n_left;
        if (high) _mm512_mask_storeu_epi8(high, highs, _mm512_maskz_compress_epi8(right, x)), high += n_right;
    }
}

CK_FN void CK_VFN(join)(const uint8_t *bitmap, size_t n, const uint8_t *low, uint8_t l, const uint8_t *high, uint8_t h,
                        uint8_t *dst) {
    __m512i left = _mm512_set1_epi8((char)l), right = _mm512_set1_epi8((char)h);
    for (size_t i = 0; i < n; i += 64) {
        size_t m = n - i < 64 ? n - i : 64;
        uint64_t ones = m == 64 ? CK_VFN(bits_at)(bitmap + i / 8, 64) : CK_VFN(bits_at)(bitmap + i / 8, m);
        size_t n_right = (size_t)__builtin_popcountll(ones);
        __m512i a = low ? _mm512_maskz_expand_epi8(~ones, _mm512_loadu_si512(low)) : left;
        __m512i x = high ? _mm512_mask_expand_epi8(a, ones, _mm512_loadu_si512(high)) : _mm512_mask_mov_epi8(a, ones, right);
        if (low) low += 64 - n_right;
        if (high) high += n_right;
        if (m == 64) _mm512_storeu_si512(dst + i, x);
        else _mm512_mask_storeu_epi8(dst + i, ~0ull >> (64 - m), x);
    }
}

#elif defined(CK_SHUFFLES)

CK_INLINE CK_TARGET __m128i CK_VFN(shuffled)(__m128i x, const uint64_t *table, unsigned mask) {
    return _mm_shuffle_epi8(x, _mm_loadl_epi64((const __m128i *)(table + mask)));
}

CK_FN size_t CK_VFN(mark)(const uint8_t *src, size_t n, uint8_t pivot, uint8_t *bitmap) {
    const __m256i at = _mm256_set1_epi8((char)pivot);
    size_t n_right = 0, i = 0;
    for (; n - i >= 32; i += 32) {
        __m256i x = _mm256_loadu_si256((const __m256i *)(src + i));
        uint32_t right = (uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(_mm256_max_epu8(x, at), x));
        memcpy(bitmap + i / 8, &right, 4);
        n_right += (size_t)__builtin_popcount(right);
    }
    return n_right + CK_VFN(mark_rest)(src, i, n, pivot, bitmap);
}

CK_FN void CK_VFN(part)(const uint8_t *src, size_t n, const uint8_t *bitmap, uint8_t *low, size_t n_low, uint8_t *high) {
    const uint8_t *low_end = low ? low + n_low : NULL, *high_end = high ? high + (n - n_low) : NULL;
    size_t i = 0;
    /* Eight bytes are stored whatever counts of them: while there is room for that on both sides. */
    for (; n - i >= 8 && (!low || low_end - low >= 8) && (!high || high_end - high >= 8); i += 8) {
        __m128i x = _mm_loadl_epi64((const __m128i *)(src + i));
        unsigned right = bitmap[i / 8];
        size_t n_right = (size_t)__builtin_popcount(right);
        if (low) _mm_storel_epi64((__m128i *)low, CK_VFN(shuffled)(x, ck_gathers, ~right & 255)), low += 8 - n_right;
        if (high) _mm_storel_epi64((__m128i *)high, CK_VFN(shuffled)(x, ck_gathers, right)), high += n_right;
    }
    CK_VFN(part_rest)(src, i, n, bitmap, low, low_end, high, high_end);
}

CK_FN void CK_VFN(join)(const uint8_t *bitmap, size_t n, const uint8_t *low, uint8_t l, const uint8_t *high, uint8_t h,
                        uint8_t *dst) {
    const __m128i all_low = _mm_set1_epi8((char)l), all_high = _mm_set1_epi8((char)h);
    size_t i = 0;
    for (; n - i >= 8; i += 8) {
        unsigned right = bitmap[i / 8];
        size_t n_right = (size_t)__builtin_popcount(right);
        __m128i a = low ? _mm_loadl_epi64((const __m128i *)low) : all_low;
        __m128i b = high ? _mm_loadl_epi64((const __m128i *)high) : all_high;
        a = CK_VFN(shuffled)(a, ck_spreads, ~right & 255);
        b = CK_VFN(shuffled)(b, ck_spreads, right);
        _mm_storel_epi64((__m128i *)(dst + i), _mm_or_si128(a, b));
        if (low) low += 8 - n_right;
        if (high) high += n_right;
    }
    CK_VFN(join_rest)(bitmap, i, n, low, l, high, h, dst);
}

#else

CK_FN size_t CK_VFN(mark)(const uint8_t *src, size_t n, uint8_t pivot, uint8_t *bitmap) {
    return CK_VFN(mark_rest)(src, 0, n, pivot, bitmap);
}

CK_FN void CK_VFN(part)(const uint8_t *src, size_t n, const uint8_t *bitmap, uint8_t *low, size_t n_low, uint8_t *high) {
    CK_VFN(part_rest)(src, 0, n, bitmap, low, low ? low + n_low : NULL, high, high ? high + (n - n_low) : NULL);
}

CK_FN void CK_VFN(join)(const uint8_t *bitmap, size_t n, const uint8_t *low, uint8_t l, const uint8_t *high, uint8_t h,
                        uint8_t *dst) {
    CK_VFN(join_rest)(bitmap, 0, n, low, l, high, h, dst);
}

#endif
