/* What the fuzzer's targets share: taking lengths and bytes from an input, buffers of exactly their size, and answers. */
#ifndef INPUT_H
#define INPUT_H

#include <stdio.h>
#include <stdlib.h>

#include "ck_cpu.h"
#include "ck_huffman.h"

typedef struct input {
    const uint8_t *data;
    size_t n;
} input;

static uint8_t *room(size_t n) {
    uint8_t *p = malloc(n ? n : 1);
    if (!p) abort();
    memset(p, 0xa5, n);
    return p;
}

static uint8_t *copy(const uint8_t *data, size_t n) {
    uint8_t *p = room(n);
    memcpy(p, data, n);
    return p;
}

static void need(int ok, const char *what) {
    if (ok) return;
    fprintf(stderr, "variants differ, or a round trip does: %s\n", what);
    abort();
}

static uint8_t take(input *in) {
    if (!in->n) return 0;
    in->n--;
    return *in->data++;
}

/* The next n bytes; zeros where the input has ended. */
static uint8_t *take_bytes(input *in, size_t n) {
    size_t there = n < in->n ? n : in->n;
    uint8_t *p = room(n);
    memset(p, 0, n);
    memcpy(p, in->data, there);
    in->data += there;
    in->n -= there;
    return p;
}

static unsigned take_width(input *in) { return 1u << (take(in) & 3); }

static size_t take_count(input *in) {
    size_t n = take(in);
    return n | (size_t)(take(in) & 3) << 8;
}

/* What one variant made of the input: its answer, and the output if it is defined. */
typedef struct outcome {
    size_t answer;
    uint8_t *out;
    size_t n_out;
} outcome;

typedef outcome (*decoder)(const ck_kernels *, input);

#endif
