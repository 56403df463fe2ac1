/* The same kernels for x86-64 with AVX2 (2013 and later). */
#if defined(__x86_64__)
#include <immintrin.h>

#include "ck_lanes.h"

#define CK_ISA avx2
#define CK_NAME "avx2"
#define CK_TARGET __attribute__((target("avx2,bmi,bmi2,popcnt")))
#define CK_POPCOUNT
#define CK_LANE_SHIFTS
#define CK_SHUFFLES
#include "template/variant.h"
#else
typedef int ck_avx2_not_built;
#endif
