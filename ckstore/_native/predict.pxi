PREDICT_LINEAR, PREDICT_ADAM, PREDICT_SECOND = CK_LINEAR, CK_ADAM, CK_SECOND


def delta_origin(const uint8_t[::1] src, const uint8_t[::1] base, unsigned int width, unsigned int mantissa,
                 const uint32_t[::1] x_log_x, uint8_t[::1] work) -> tuple[int, float]:
    """The origin with which delta_split costs least for a sample of floats, and the bits an element that it costs.

    Bits: order-0 entropy of the symbols, with Miller and Madow's correction, and the bit stream. base: as long as src,
    2^19 elements at most. x_log_x[x]: 256 x log2(x), rounded, for x up to their number. work: ORIGIN_WORK bytes.
    """
    cdef size_t n = _count(src.shape[0], width)
    cdef uint64_t cost = 0
    cdef int origin = 0
    _recentre(0, width, True, mantissa)
    _need(base.shape[0] == src.shape[0], "base must be as long as src")
    _need(n <= CK_ORIGIN_MOST and n < <size_t>x_log_x.shape[0], "more elements than x_log_x has room for")
    _need(<size_t>work.shape[0] >= CK_ORIGIN_ROWS * sizeof(ck_tally), "work must have ORIGIN_WORK bytes")
    _need(<size_t>&work[0] % sizeof(uint32_t) == 0, "work must be aligned to 4 bytes")
    _apart(src, work)
    _apart(base, work)
    if n == 0:
        return 0, 0.0
    with nogil:
        origin = ck_active().recentred_origin(&src[0], &base[0], n, width, mantissa, &x_log_x[0], <ck_tally *>&work[0],
                                              &cost)
    return origin, <double>cost / 256 / <double>n


cdef int _bases(bases, dtypes, unsigned int i, size_t n, const uint8_t[::1] out, ck_prediction *how) except -1:
    """The first i bases and their dtypes, checked, in `how`."""
    if i == 0:
        return 0
    how.dtypes[i - 1] = dtypes[i - 1]
    _need(how.dtypes[i - 1] < CK_DTYPES, "unknown dtype of a base")
    cdef const uint8_t[::1] base = bases[i - 1]
    _need(<size_t>base.shape[0] == n * (4 if how.dtypes[i - 1] == CK_F32 else 2), "bases have as many elements as out")
    _apart(base, out)
    how.bases[i - 1] = &base[0] if n > 0 else NULL
    return _bases(bases, dtypes, i - 1, n, out, how)


cdef int _coefficients(coefficients, unsigned int i, ck_prediction *how) except -1:
    if i == 0:
        return 0
    how.coefficients[i - 1] = coefficients[i - 1]
    return _coefficients(coefficients, i - 1, how)


def predict(unsigned int kind, bases, dtypes, coefficients, bint masked, unsigned int out_dtype, uint8_t[::1] out) -> None:
    """out = what a predictor says of each element, in binary32 arithmetic whose every operation is rounded by itself.

    kind, bases, coefficients: PREDICT_LINEAR (1 to 4 bases, as many coefficients), PREDICT_ADAM (w, m, v and maybe the
    m before; decay, step, step before, root, eps) or PREDICT_SECOND (v, m, the m before; beta, gain, inner); formulas
    in ck_kernels.h. masked: where the two m are equal, w or v itself. dtypes of bases, out_dtype: 0 float32,
    1 bfloat16, 2 float16; coefficients are rounded to float32.
    """
    cdef ck_prediction how
    cdef unsigned int n_bases = <unsigned int>len(bases)
    cdef size_t n = _count(out.shape[0], 4 if out_dtype == CK_F32 else 2)
    _need(CK_LINEAR <= kind <= CK_SECOND and out_dtype < CK_DTYPES, "unknown predictor, or dtype of out")
    _need((1 if kind == CK_LINEAR else 3) <= n_bases <= (3 if kind == CK_SECOND else CK_BASES_MOST),
          "as many bases as the predictor has")
    _need(not masked or kind == CK_SECOND or (kind == CK_ADAM and n_bases == 4), "a mask takes both m")
    _need(<unsigned int>len(dtypes) == n_bases, "a dtype for each base")
    _need(<unsigned int>len(coefficients) == (n_bases if kind == CK_LINEAR else 5 if kind == CK_ADAM else 3),
          "as many coefficients as the predictor has")
    how.kind, how.n_bases, how.masked, how.out_dtype = kind, n_bases, masked, out_dtype
    _bases(bases, dtypes, n_bases, n, out, &how)
    _coefficients(coefficients, n_bases if kind == CK_LINEAR else 5 if kind == CK_ADAM else 3, &how)
    if n > 0:
        with nogil:
            ck_active().predict(&how, n, &out[0])
