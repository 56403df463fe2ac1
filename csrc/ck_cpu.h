/* Which variants this build and this machine have, and which one is used. */
#ifndef CK_CPU_H
#define CK_CPU_H

#include "ck_kernels.h"

/* The i-th variant that can run here, the preferred one first and "scalar" last; NULL after that. */
const ck_kernels *ck_variant(size_t i);
/* The variant in use. Safe from any thread. */
const ck_kernels *ck_active(void);
/* Uses the variant of this name from now on. Returns 0, or -1 if it is unknown, not built or cannot run. */
int ck_select(const char *name);

#endif
