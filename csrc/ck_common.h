/* What every kernel file shares: pointer and target macros, unaligned loads and stores. */
#ifndef CK_COMMON_H
#define CK_COMMON_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "ckstore stores little-endian bytes and is built for little-endian machines only"
#endif

#define CK_RESTRICT __restrict__
#define CK_INLINE static inline __attribute__((always_inline))

#define CK_JOIN2(a, b) a##b
#define CK_JOIN(a, b) CK_JOIN2(a, b)

/* An element is loaded and stored through memcpy only, so that any address will do. */
#define CK_LOAD(type, value, address) \
    type value;                       \
    memcpy(&value, address, sizeof value)
#define CK_STORE(address, value) memcpy(address, &(value), sizeof(value))

#endif
