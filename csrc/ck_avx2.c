/* The same kernels for x86-64 with AVX2 (2013 and later). */
#if defined(__x86_64__)
#define CK_ISA avx2
#define CK_NAME "avx2"
#define CK_TARGET __attribute__((target("avx2,bmi,bmi2,popcnt")))
#include "template/variant.h"
#else
typedef int ck_avx2_not_built;
#endif
