/* Inputs that are kept, and what is made of them: what the drivers of the fuzzer share. */
#ifndef MUTATE_H
#define MUTATE_H

#include <dirent.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
/* Not there in a build without sanitizers. */
void __attribute__((weak)) __sanitizer_set_death_callback(void (*callback)(void));

#define MOST_INPUTS 20000u
#define MOST_BYTES 65536u

typedef struct kept {
    uint8_t *data;
    size_t n;
} kept;

static kept corpus[MOST_INPUTS];
static size_t n_corpus, max_len = 4096;
static uint8_t now[MOST_BYTES];
static size_t n_now;
static const char *prefix = "";
static uint64_t state = 88172645463325252u;

static uint64_t chance(uint64_t below) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return below ? (state >> 11) % below : 0;
}

static void write_file(const char *path, const uint8_t *data, size_t n) {
    FILE *file = fopen(path, "wb");
    if (!file) return;
    fwrite(data, 1, n, file);
    fclose(file);
}

static void save_current(void) {
    char path[4096];
    snprintf(path, sizeof path, "%scrash", prefix);
    write_file(path, now, n_now);
    fprintf(stderr, "the input is in %s\n", path);
}

static void on_abort(int signal_number) {
    (void)signal_number;
    save_current();
    _exit(77);
}

/* Whatever ends the program, the input is saved. */
static void save_at_death(void) {
    signal(SIGABRT, on_abort);
    if (__sanitizer_set_death_callback) __sanitizer_set_death_callback(save_current);
    else signal(SIGSEGV, on_abort);
}

/* Whether there was room for it. */
static int keep(void) {
    if (n_corpus == MOST_INPUTS) return 0;
    kept item = {malloc(n_now ? n_now : 1), n_now};
    if (!item.data) abort();
    memcpy(item.data, now, n_now);
    corpus[n_corpus++] = item;
    return 1;
}

static void run_now(void) {
    uint8_t *exact = malloc(n_now ? n_now : 1); /* so that a read past its end shows */
    if (!exact) abort();
    memcpy(exact, now, n_now);
    LLVMFuzzerTestOneInput(exact, n_now);
    free(exact);
}

/* Runs and keeps each file of a folder. */
static void read_dir(const char *path) {
    struct dirent **names = NULL;
    int n = scandir(path, &names, NULL, alphasort);
    for (int i = 0; i < n; i++) {
        char file_path[4096];
        snprintf(file_path, sizeof file_path, "%s/%s", path, names[i]->d_name);
        FILE *file = names[i]->d_name[0] == '.' ? NULL : fopen(file_path, "rb");
        if (file) {
            n_now = fread(now, 1, max_len, file);
            fclose(file);
            run_now();
            keep();
        }
        free(names[i]);
    }
    free(names);
}

static void insert(size_t at, const uint8_t *data, size_t n) {
    if (n_now + n > max_len) return;
    memmove(now + at + n, now + at, n_now - at);
    memcpy(now + at, data, n);
    n_now += n;
}

static void erase(size_t at, size_t n) {
    if (n > n_now - at) n = n_now - at;
    memmove(now + at, now + at + n, n_now - at - n);
    n_now -= n;
}

static void mutate(void) {
    static const uint8_t odd[] = {0, 1, 2, 7, 8, 12, 15, 16, 31, 32, 63, 64, 127, 128, 170, 254, 255};
    size_t at = chance(n_now), n = 1 + chance(8);
    uint8_t some[64];
    switch (chance(n_now ? 8 : 1)) {
        case 0:
            for (size_t i = 0; i < sizeof some; i++) some[i] = (uint8_t)chance(256);
            insert(at, some, 1 + chance(chance(4) ? 8 : 64));
            break;
        case 1: now[at] ^= (uint8_t)(1u << chance(8)); break;
        case 2: now[at] = (uint8_t)chance(256); break;
        case 3: now[at] = odd[chance(sizeof odd)]; break;
        case 4: now[at] = (uint8_t)(now[at] + chance(9) - 4); break;
        case 5: erase(at, chance(8) ? n : n_now / 2); break;
        case 6: /* a stretch again, elsewhere */
            n = n < n_now - at ? n : n_now - at;
            memcpy(some, now + at, n);
            insert(chance(n_now + 1), some, n);
            break;
        default: { /* the head of this one, the tail of another */
            const kept *other = &corpus[chance(n_corpus)];
            size_t from = chance(other->n), most = max_len - at;
            n_now = at + (other->n - from < most ? other->n - from : most);
            memcpy(now + at, other->data + from, n_now - at);
        }
    }
}

/* Another input, made from a kept one by so many changes at most. */
static void change_one(unsigned most) {
    const kept *item = &corpus[chance(n_corpus)];
    n_now = item->n < max_len ? item->n : max_len;
    memcpy(now, item->data, n_now);
    for (uint64_t times = 1 + chance(most); times > 0; times--) mutate();
}

static const char *value(const char *argument, const char *name) {
    size_t n = strlen(name);
    return strncmp(argument, name, n) == 0 ? argument + n : NULL;
}

/* Takes one of the arguments that all drivers have; 0 if it is none of them. */
static int option(const char *argument) {
    const char *found;
    if ((found = value(argument, "-seed="))) state += strtoull(found, NULL, 10) * 2654435761u;
    else if ((found = value(argument, "-max_len="))) max_len = strtoull(found, NULL, 10);
    else if ((found = value(argument, "-artifact_prefix="))) prefix = found;
    else return 0;
    if (max_len > MOST_BYTES) exit(2);
    return 1;
}

#endif
