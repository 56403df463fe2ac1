/* The origin of recentred differences, chosen from a tally of a sample: the same for all variants. */
#ifndef CK_ORIGIN_H
#define CK_ORIGIN_H

#include "ck_kernels.h"

/* See recentred_origin. tallies: n_rows of them, of n differences of W bits. */
int ck_best_origin(const ck_tally *tallies, size_t n_rows, size_t n, int W, const uint32_t *x_log_x, uint64_t *cost);

#endif
