/* What the fuzzer's targets share: taking lengths and bytes from an input, buffers of exactly their size, and answers.
 * Buffers are the input's, not the targets': they are held until all variants have run. Of half of all inputs they begin
 * at any address, of the others at an aligned one, where the first byte read before them shows too. */
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

#define MOST_HELD 256
static void *held[MOST_HELD];
static size_t n_held;
static uint32_t misaligned; /* 0, or what the next address is made from */
static const char *running = "no variant";

static uint8_t *hold(size_t n) {
    void *p = malloc(n ? n : 1);
    if (!p || n_held == MOST_HELD) abort();
    return held[n_held++] = p;
}

/* The input decides what is misaligned, so that it is so again when it is run again. */
static void begin(input in) {
    misaligned = 2166136261u;
    for (size_t i = 0; i < in.n; i++) misaligned = (misaligned ^ in.data[i]) * 16777619u;
    if (misaligned & 1) misaligned = 0;
}

static void release(void) {
    while (n_held) free(held[--n_held]);
}

static uint8_t *room(size_t n) {
    misaligned *= 747796405u;
    size_t from = misaligned >> 26;
    uint8_t *p = hold(from + n) + from;
    memset(p, 0xa5, n);
    return p;
}

/* Numbers, which lie as the compiler wants them. */
static void *table(size_t n, size_t size) { return memset(hold(n * size), 0xa5, n * size); }

static uint8_t *copy(const uint8_t *data, size_t n) {
    uint8_t *p = room(n);
    memcpy(p, data, n);
    return p;
}

static void need(int ok, const char *what) {
    if (ok) return;
    fprintf(stderr, "variants differ, or a round trip does: %s: %s\n", running, what);
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

static uint32_t take_word(input *in) {
    uint32_t word = 0;
    for (unsigned i = 0; i < 4; i++) word |= (uint32_t)take(in) << 8 * i;
    return word;
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

/* An answer whose output is in two parts. */
static outcome of_both(size_t answer, const void *one, size_t n_one, const void *other, size_t n_other) {
    uint8_t *out = room(n_one + n_other);
    memcpy(out, one, n_one);
    memcpy(out + n_one, other, n_other);
    return (outcome){answer, out, n_one + n_other};
}

#endif
