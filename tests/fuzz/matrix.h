/* The targets of what is done to the words of a matrix: a part of harness.c. */
#include "input.h"

/* Any matrix, and the rows of it that n elements touch. */
static size_t take_matrix(input *in, ck_scale *how, size_t n) {
    how->columns = take_count(in) + 1;
    how->start = take_count(in) % how->columns;
    return (how->start + n + how->columns - 1) / how->columns;
}

static outcome scaled(const ck_kernels *k, input in) {
    unsigned flags = take(&in), width = flags & 1 ? 4 : 2, turned = flags >> 1 & 1;
    ck_scale how = {.shift = take(&in) % (8 * width - 1)};
    how.slope = take_word(&in);
    how.origin = take_word(&in);
    size_t n = take_count(&in), n_rows = take_matrix(&in, &how, n);
    uint8_t *src = flags & 4 ? NULL : take_bytes(&in, n * width), *out = room(n * width);
    how.of_rows = (const int8_t *)take_bytes(&in, n_rows);
    how.of_columns = (const int8_t *)take_bytes(&in, how.columns);
    k->scaled(src, n, width, &how, turned, out);
    return (outcome){n, out, n * width};
}

static outcome word_sums(const ck_kernels *k, input in) {
    unsigned flags = take(&in), width = flags & 1 ? 4 : 2;
    ck_scale how = {.slope = take_word(&in) % 65537u};
    size_t n = take_count(&in), n_rows = take_matrix(&in, &how, n);
    uint8_t *src = take_bytes(&in, n * width), *base = flags & 4 ? NULL : take_bytes(&in, n * width);
    int64_t *rows = table(n_rows, sizeof *rows), *columns = table(how.columns, sizeof *columns);
    k->word_sums(src, base, n, width, &how, rows, columns);
    return of_both(n, rows, n_rows * sizeof *rows, columns, how.columns * sizeof *columns);
}

static outcome turn(const ck_kernels *k, input in) {
    unsigned flags = take(&in), width = flags & 1 ? 4 : 2, left = 1, right = 8 * width - 1;
    size_t n = in.n / width;
    uint8_t *src = copy(in.data, n * width), *out = room(n * width), *back = room(n * width);
    k->turn(src, n, width, flags & 2 ? left : right, out);
    k->turn(out, n, width, flags & 2 ? right : left, back);
    need(memcmp(src, back, n * width) == 0, "turn: other elements come back");
    return (outcome){n, out, n * width};
}
