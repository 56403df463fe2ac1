#include "ck_cpu.h"

static const ck_kernels *_Atomic ck_chosen = NULL;

#if defined(__x86_64__)
static int ck_has_avx2(void) {
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2") &&
           __builtin_cpu_supports("popcnt");
}

static int ck_has_avx512(void) {
    return ck_has_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512vl") &&
           __builtin_cpu_supports("avx512vbmi") && __builtin_cpu_supports("avx512vbmi2");
}
#endif

const ck_kernels *ck_variant(size_t i) {
    const ck_kernels *runnable[4] = {NULL};
    size_t n = 0;
#if defined(__x86_64__)
    if (ck_has_avx512()) runnable[n++] = &ck_kernels_avx512;
    if (ck_has_avx2()) runnable[n++] = &ck_kernels_avx2;
#endif
    runnable[n++] = &ck_kernels_scalar;
    return i < n ? runnable[i] : NULL;
}

const ck_kernels *ck_active(void) {
    const ck_kernels *kernels = ck_chosen;
    return kernels ? kernels : ck_variant(0);
}

int ck_select(const char *name) {
    const ck_kernels *kernels;
    for (size_t i = 0; (kernels = ck_variant(i)) != NULL; i++) {
        const char *a = kernels->name, *b = name;
        while (*a && *a == *b) a++, b++;
        if (*a == *b) {
            ck_chosen = kernels;
            return 0;
        }
    }
    return -1;
}
