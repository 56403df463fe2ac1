/* The same kernels for x86-64 with AVX-512 and VBMI2 (2019 and later). */
#if defined(__x86_64__)
#include <immintrin.h>

#define CK_ISA avx512
#define CK_NAME "avx512"
#define CK_TARGET                                                                                                        \
    __attribute__((target("avx512f,avx512bw,avx512cd,avx512dq,avx512vl,avx512vbmi,avx512vbmi2,avx2,bmi,bmi2,popcnt")))
#define CK_POPCOUNT
#define CK_LANE_SHIFTS
#define CK_VBMI2
#include "template/variant.h"
#else
typedef int ck_avx512_not_built;
#endif
