/* What libFuzzer does, in little, for a compiler that has none (gcc -fsanitize-coverage=trace-pc): inputs that reach new
 * edges are kept and changed further. Takes the same arguments: -runs=N -seed=N -max_len=N -artifact_prefix=P DIR...
 * New inputs are written to the first DIR; the others are only read. */
#include <dirent.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
void __sanitizer_cov_trace_pc(void);
void __sanitizer_set_death_callback(void (*callback)(void));

#define MAP 65536u
#define MOST_INPUTS 20000u
#define MOST_BYTES 65536u

static uint8_t seen[MAP];
static uintptr_t before;
static size_t n_edges;

void __sanitizer_cov_trace_pc(void) {
    uintptr_t here = (uintptr_t)__builtin_return_address(0);
    uintptr_t edge = (here ^ here >> 16 ^ before) % MAP;
    before = here >> 1;
    if (!seen[edge]) seen[edge] = 1, n_edges++;
}

typedef struct kept {
    uint8_t *data;
    size_t n;
} kept;

static kept corpus[MOST_INPUTS];
static size_t n_corpus, n_new, max_len = 4096;
static uint8_t now[MOST_BYTES];
static size_t n_now;
static const char *prefix = "", *new_dir = NULL;
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

static void keep(int is_new) {
    if (n_corpus == MOST_INPUTS) return;
    kept item = {malloc(n_now ? n_now : 1), n_now};
    if (!item.data) abort();
    memcpy(item.data, now, n_now);
    corpus[n_corpus++] = item;
    if (!is_new) return;
    char path[4096];
    snprintf(path, sizeof path, "%s/%06zu", new_dir, n_new++);
    write_file(path, now, n_now);
}

/* Runs the current input; whether it reached an edge that none reached before. */
static int run(void) {
    size_t known = n_edges;
    uint8_t *exact = malloc(n_now ? n_now : 1); /* so that a read past its end shows */
    if (!exact) abort();
    memcpy(exact, now, n_now);
    before = 0;
    LLVMFuzzerTestOneInput(exact, n_now);
    free(exact);
    return n_edges > known;
}

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
            run();
            keep(0);
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

static const char *value(const char *argument, const char *name) {
    size_t n = strlen(name);
    return strncmp(argument, name, n) == 0 ? argument + n : NULL;
}

int main(int argc, char **argv) {
    const char *found;
    uint64_t runs = 10000;
    signal(SIGABRT, on_abort);
    __sanitizer_set_death_callback(save_current);
    for (int i = 1; i < argc; i++) {
        if ((found = value(argv[i], "-runs="))) runs = strtoull(found, NULL, 10);
        else if ((found = value(argv[i], "-seed="))) state += strtoull(found, NULL, 10) * 2654435761u;
        else if ((found = value(argv[i], "-max_len="))) max_len = strtoull(found, NULL, 10);
        else if ((found = value(argv[i], "-artifact_prefix="))) prefix = found;
        else if (!new_dir) new_dir = argv[i];
    }
    if (!new_dir || max_len > MOST_BYTES) return 2;
    n_now = 0;
    run();
    keep(0);
    for (int i = 1; i < argc; i++)
        if (argv[i][0] != '-') read_dir(argv[i]);
    for (uint64_t i = 0; i < runs; i++) {
        const kept *item = &corpus[chance(n_corpus)];
        n_now = item->n < max_len ? item->n : max_len;
        memcpy(now, item->data, n_now);
        for (uint64_t times = 1 + chance(chance(2) ? 2 : 8); times > 0; times--) mutate();
        if (run()) keep(1);
    }
    fprintf(stderr, "Done %llu runs: %zu edges, %zu inputs of %zu are new\n", (unsigned long long)runs, n_edges, n_new, n_corpus);
    return 0;
}
