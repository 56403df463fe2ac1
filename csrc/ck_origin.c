#include "ck_origin.h"

#define CK_INNER 30 /* classes between the outer ones */
#define CK_DISTINCT 185u /* 1/256 bits: 256 / (2 ln 2) */

/* What an origin makes of the sample: rows <= origin are in class 0, rows > origin + CK_INNER in the last class. */
typedef struct ck_window {
    uint64_t least[2], most[2]; /* differences in the outer classes, by sign */
    uint64_t x_log_x, distinct; /* of the symbols of the inner classes */
    uint64_t low;               /* bits of the inner classes */
    uint64_t exponents;         /* sum, in class 0 */
    uint64_t short_of, bases;   /* what class 0 would have beyond W-1 bits an element; the bases for which it would */
} ck_window;

/* Moves a row into the inner classes (sign = 1) or out of them (-1). */
static void ck_move_inner(ck_window *window, const ck_tally *row, const uint32_t *x_log_x, int sign) {
    uint64_t by = (uint64_t)(int64_t)sign;
    for (int i = 0; i < 8; i++) {
        window->x_log_x += by * x_log_x[row->symbols[i]];
        window->distinct += by * (row->symbols[i] != 0);
    }
    window->low += by * (uint32_t)row->sums;
}

static void ck_move_outer(uint64_t *outer, const ck_tally *row, int sign) {
    for (int i = 0; i < 8; i++) outer[i & 1] += (uint64_t)(int64_t)sign * row->symbols[i];
}

/* From origin - 1 to origin. */
static void ck_advance(ck_window *window, const ck_tally *tallies, int n_rows, int origin, int W, const uint32_t *x_log_x) {
    int enters = origin + CK_INNER, long_by = origin - W;
    ck_move_inner(window, &tallies[origin], x_log_x, -1);
    ck_move_outer(window->least, &tallies[origin], 1);
    window->exponents += tallies[origin].sums >> 32;
    if (enters < n_rows) {
        ck_move_inner(window, &tallies[enters], x_log_x, 1);
        ck_move_outer(window->most, &tallies[enters], -1);
    }
    if (long_by >= 0) window->bases += tallies[long_by].bases;
    window->short_of += window->bases;
}

static uint64_t ck_origin_cost(const ck_window *w, size_t n, int origin, int W, const uint32_t *x_log_x) {
    uint64_t zeros = w->least[0] + w->least[1], tops = w->most[0] + w->most[1], repeated = w->x_log_x, distinct = w->distinct;
    for (int s = 0; s < 2; s++) {
        repeated += x_log_x[w->least[s]] + (uint64_t)x_log_x[w->most[s]];
        distinct += (uint64_t)(w->least[s] != 0) + (w->most[s] != 0);
    }
    uint64_t low = w->low + (uint64_t)(W - 1) * tops + (uint64_t)(int64_t)origin * zeros - w->exponents - w->short_of;
    return x_log_x[n] - repeated + CK_DISTINCT * (distinct - 1) + 256 * low;
}

static int ck_is_empty(const ck_tally *row) {
    uint32_t any = 0;
    for (int i = 0; i < 8; i++) any |= row->symbols[i];
    return any == 0;
}

int ck_best_origin(const ck_tally *tallies, size_t n_rows, size_t n, int W, const uint32_t *x_log_x, uint64_t *cost) {
    ck_window window = {0};
    int first = 0, end = (int)n_rows;
    while (ck_is_empty(&tallies[first])) first++;
    while (ck_is_empty(&tallies[end - 1])) end--;
    for (int t = first; t < end; t++) {
        if (t < first + CK_INNER) ck_move_inner(&window, &tallies[t], x_log_x, 1);
        else ck_move_outer(window.most, &tallies[t], 1);
    }
    int best = first - 1;
    *cost = ck_origin_cost(&window, n, best, W, x_log_x);
    for (int origin = first; origin < end; origin++) {
        ck_advance(&window, tallies, end, origin, W, x_log_x);
        uint64_t found = ck_origin_cost(&window, n, origin, W, x_log_x);
        if (found < *cost) {
            *cost = found;
            best = origin;
        }
    }
    return best;
}
