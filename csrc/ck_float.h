/* The floating-point mode of the calling thread: rounding and flush-to-zero. Kernels that calculate do so in the default
 * one, whatever the caller has set (training sets flush-to-zero), or a chunk would decode to other bytes elsewhere. */
#ifndef CK_FLOAT_H
#define CK_FLOAT_H

#include <float.h>

#include "ck_common.h"

#if FLT_EVAL_METHOD != 0 || defined(__FAST_MATH__)
#error "predictions need binary32 arithmetic as IEEE 754 has it: each operation rounded by itself, and no -ffast-math"
#endif

/* Nothing that reads or writes memory moves across these two. */
#if defined(__x86_64__)
typedef uint32_t ck_float_mode;
#define CK_DEFAULT_MODE 0x1f80u /* to nearest even, denormal numbers kept, no exception traps */
CK_INLINE ck_float_mode ck_get_mode(void) {
    ck_float_mode mode;
    __asm__ __volatile__("stmxcsr %0" : "=m"(mode) : : "memory");
    return mode;
}
CK_INLINE void ck_set_mode(ck_float_mode mode) { __asm__ __volatile__("ldmxcsr %0" : : "m"(mode) : "memory"); }
#elif defined(__aarch64__)
typedef uint64_t ck_float_mode;
#define CK_DEFAULT_MODE 0u
CK_INLINE ck_float_mode ck_get_mode(void) {
    ck_float_mode mode;
    __asm__ __volatile__("mrs %0, fpcr" : "=r"(mode) : : "memory");
    return mode;
}
CK_INLINE void ck_set_mode(ck_float_mode mode) { __asm__ __volatile__("msr fpcr, %0" : : "r"(mode) : "memory"); }
#else /* the caller's mode is taken to be the default one */
typedef int ck_float_mode;
#define CK_DEFAULT_MODE 0
CK_INLINE ck_float_mode ck_get_mode(void) { return CK_DEFAULT_MODE; }
CK_INLINE void ck_set_mode(ck_float_mode mode) { (void)mode; }
#endif

#endif
