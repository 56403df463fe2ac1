from libc.stddef cimport size_t
from libc.stdint cimport int8_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcmp


cdef extern from "ck_kernels.h" nogil:
    size_t CK_FAILED
    size_t CK_BITS_SLACK
    size_t CK_HUFFMAN_BLOCK
    size_t CK_HUFFMAN_WORK
    unsigned int CK_ROUND_KINDS
    unsigned int CK_EXPONENT_BITS
    size_t CK_ORIGIN_ROWS
    size_t CK_ORIGIN_MOST
    unsigned int CK_LINEAR
    unsigned int CK_ADAM
    unsigned int CK_SECOND
    unsigned int CK_DTYPES
    unsigned int CK_F32
    unsigned int CK_BASES_MOST
    ctypedef struct ck_tally:
        pass
    ctypedef struct ck_prediction:
        unsigned int kind
        unsigned int n_bases
        int masked
        unsigned int out_dtype
        unsigned int dtypes[4]
        const uint8_t *bases[4]
        float coefficients[5]
    ctypedef struct ck_scale:
        uint32_t slope
        uint32_t origin
        unsigned int shift
        size_t columns
        size_t start
        const int8_t *of_rows
        const int8_t *of_columns
    size_t CK_PALETTE_SYMBOLS
    size_t CK_PROFILE
    ctypedef struct ck_kernels:
        const char *name
        void (*split)(const uint8_t *, const uint8_t *, size_t, unsigned int, unsigned int, uint8_t *, uint8_t *) noexcept nogil
        void (*merge)(const uint8_t **, const uint8_t *, size_t, unsigned int, unsigned int, uint8_t *) noexcept nogil
        size_t (*delta_split)(const uint8_t *, const uint8_t *, size_t, unsigned int, bint, uint8_t *, uint8_t *) noexcept nogil
        size_t (*delta_merge)(const uint8_t *, const uint8_t *, size_t, const uint8_t *, size_t, unsigned int, bint,
                              uint8_t *) noexcept nogil
        size_t (*recentred_split)(const uint8_t *, const uint8_t *, size_t, unsigned int, unsigned int, int, uint8_t *,
                                  uint8_t *) noexcept nogil
        size_t (*recentred_merge)(const uint8_t *, const uint8_t *, size_t, const uint8_t *, size_t, unsigned int,
                                  unsigned int, int, uint8_t *) noexcept nogil
        int (*recentred_origin)(const uint8_t *, const uint8_t *, size_t, unsigned int, unsigned int, const uint32_t *,
                                ck_tally *, uint64_t *) noexcept nogil
        void (*predict)(const ck_prediction *, size_t, uint8_t *) noexcept nogil
        void (*scaled)(const uint8_t *, size_t, unsigned int, const ck_scale *, unsigned int, uint8_t *) noexcept nogil
        void (*word_sums)(const uint8_t *, const uint8_t *, size_t, unsigned int, const ck_scale *, int64_t *,
                          int64_t *) noexcept nogil
        void (*turn)(const uint8_t *, size_t, unsigned int, unsigned int, uint8_t *) noexcept nogil
        size_t (*sparse_split)(const uint8_t *, size_t, unsigned int, uint64_t, uint8_t *, uint8_t *) noexcept nogil
        size_t (*sparse_merge)(const uint8_t *, const uint8_t *, size_t, size_t, unsigned int, uint64_t,
                               uint8_t *) noexcept nogil
        void (*round)(const uint8_t *, size_t, unsigned int, uint8_t *) noexcept nogil
        int (*is_constant)(const uint8_t *, size_t, size_t) noexcept nogil
        void (*histogram)(const uint8_t *, size_t, size_t, uint32_t *) noexcept nogil
        void (*profile)(const uint8_t *, size_t, size_t, const uint32_t *, uint32_t *) noexcept nogil
        size_t (*huffman_encode)(const uint8_t *, size_t, size_t, uint8_t *, uint8_t *) noexcept nogil
        size_t (*huffman_decode)(const uint8_t *, size_t, uint8_t *, size_t, uint8_t *) noexcept nogil
        size_t (*palette_encode)(const uint8_t *, size_t, uint8_t *) noexcept nogil
        size_t (*palette_decode)(const uint8_t *, size_t, uint8_t *, size_t) noexcept nogil
        size_t (*gap_split)(const uint8_t *, size_t, uint8_t, size_t, uint8_t *, uint8_t *) noexcept nogil
        size_t (*gap_merge)(const uint8_t *, const uint8_t *, size_t, size_t, uint8_t, uint8_t *) noexcept nogil


cdef extern from "ck_cpu.h" nogil:
    const ck_kernels *ck_variant(size_t)
    const ck_kernels *ck_active()
    int ck_select(const char *)
